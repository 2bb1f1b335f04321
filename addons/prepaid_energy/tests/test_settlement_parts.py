from datetime import timedelta
from unittest.mock import patch

import psycopg2
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import energy_settlement_run
from .common import START, EnergyCase
from .planting import PropertyCase

LOGGER = "odoo.addons.prepaid_energy.models.energy_settlement_run"


@tagged("post_install", "-at_install")
class TestSettlementParts(PropertyCase, EnergyCase):
    """One account that cannot be settled holds nobody up, and costs little."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meters = [cls.make_meter(f"P{number}") for number in range(8)]
        cls.accounts = cls.env["energy.account"]
        for meter in cls.meters:
            cls.accounts |= cls.open_account(meter)
        for account in cls.accounts:
            cls.top_up(cls, account, 100)
        # Of demo data.
        cls.env.cr.execute("DELETE FROM energy_settlement_queue")

    def setUp(self):
        super().setUp()
        for meter in self.meters:
            self.read(meter, START + timedelta(hours=1), "10")
        self.batches = []

    def run_with(self, *broken, error=None):
        """Run the settlement while rating fails for some accounts."""
        rating = self.env.registry["energy.rating"]
        real, broken_ids = rating._rate, {account.id for account in broken}

        def rate(model, account_ids, queued):
            self.batches.append(len(account_ids))
            if broken_ids.intersection(account_ids):
                raise error or RuntimeError("broken on purpose")
            return real(model, account_ids, queued)

        with (
            self.enter_registry_test_mode(),
            patch.object(rating, "_rate", rate),
            mute_logger(LOGGER),
        ):
            self.env["energy.settlement"]._run()
        self.env.invalidate_all()

    def assertSettledBut(self, *broken):
        for account in self.accounts:
            use = [] if account in broken else ["-6.00"]
            self.assertEqual(self.entries(account), use, account.name)
        problems = self.env["energy.settlement.problem"].search([])
        self.assertEqual(set(problems.account_id.ids), {account.id for account in broken})

    def test_lost_connection_is_no_accounts_fault(self):
        """The run ends, nobody is set aside, and the next run does it all."""

        def check():
            lost = psycopg2.OperationalError("server closed the connection unexpectedly")
            try:
                self.run_with(self.accounts[5], error=lost)
            except psycopg2.OperationalError:
                self.env.invalidate_all()
            self.assertEqual(self.env["energy.settlement.problem"].search([]).ids, [])
            self.run_with()
            self.assertSettledBut()

        settlement = energy_settlement_run.EnergySettlement
        self.holds(check, (settlement._settle_parts, "if is_lost(error):", "if False:"))

    def test_one_is_found_by_halving(self):
        broken = self.accounts[5]
        self.run_with(broken)
        self.assertSettledBut(broken)
        self.assertEqual(self.batches, [8, 8, 4, 4, 2, 1, 1, 2])
        self.assertIn("broken on purpose", self.env["energy.settlement.problem"].search([]).message)
        # Set aside: the next run leaves it alone until its time has come.
        self.batches.clear()
        self.run_with(broken)
        self.assertEqual(self.batches, [])

    def test_several_are_set_aside(self):
        broken = (self.accounts[0], self.accounts[3], self.accounts[7])
        self.run_with(*broken)
        self.assertSettledBut(*broken)

    def test_all_are_set_aside(self):
        self.run_with(*self.accounts)
        self.assertSettledBut(*self.accounts)

    def test_mended_account_is_settled_and_its_problem_gone(self):
        self.run_with(self.accounts[2])
        self.set_clock(START + timedelta(hours=2))
        self.run_with()
        self.assertSettledBut()
        self.assertEqual(self.batches[-1], 1)

    def test_account_with_two_balances_is_settled_alone(self):
        meter = self.make_meter("P8")
        account = self.open_account(meter)
        self.env.cr.execute(
            """
            UPDATE energy_wallet SET commodity = 'electricity' WHERE account_id = %(account)s;
            INSERT INTO energy_wallet (account_id, commodity, company_id, currency_id, site_id,
                                       balance, last_number, head)
            SELECT account_id, 'water', company_id, currency_id, site_id, 0, 0, ''
              FROM energy_wallet WHERE account_id = %(account)s
            """,
            {"account": account.id},
        )
        self.env.invalidate_all()
        self.read(meter, START + timedelta(hours=1), "10")
        self.assertEqual(self.env["energy.settlement"]._settle([account.id]), 1)
        self.assertEqual(self.entries(account), ["-6.00"])

    def test_meters_that_serve_nobody_do_not_hide_others(self):
        spare = [self.make_meter(f"S{number}") for number in range(4)]
        self.env.cr.execute("DELETE FROM energy_settlement_queue")
        self.env["energy.settlement.queue"]._add([(meter.id, START) for meter in spare])
        self.env["energy.settlement.queue"]._add([(self.meters[0].id, START)])
        with patch.object(energy_settlement_run, "BATCH", 2):
            self.run_with()
        self.assertEqual(self.entries(self.accounts[0]), ["-6.00"])
        self.assertFalse(self.env["energy.settlement.queue"].search([]))

    def test_screens_are_told_once_a_second_and_at_the_end(self):
        told = []
        room = self.env.registry["energy.room"]
        with (
            patch.object(energy_settlement_run, "BATCH", 2),
            patch.object(room, "_tell", lambda model: told.append(len(self.batches))),
        ):
            self.run_with()
        self.assertEqual(self.batches, [2, 2, 2, 2])
        self.assertEqual(told, [1, 4])
