from datetime import timedelta
from decimal import Decimal

from odoo import Command
from odoo.tests import tagged

from .common import START, EnergyCase

HOUR = timedelta(hours=1)


@tagged("post_install", "-at_install")
class TestUncharged(EnergyCase):
    """All use that is not charged stands in one report, with its cause and quantity."""

    def rows(self, **values):
        self.env.invalidate_all()
        found = self.env["energy.uncharged"].search([("company_id", "=", self.company.id)])
        return found.filtered(
            lambda row: all(row[name] == value for name, value in values.items())
        )

    def test_nothing_is_left_over_where_all_is_charged(self):
        meter = self.make_meter("N1")
        self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "110")
        self.settle()
        self.assertFalse(self.rows())

    def test_held_reading(self):
        meter = self.make_meter("N2", max_power=5)
        account = self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "5000")
        self.settle()
        row = self.rows(cause="held")
        self.assertEqual(row.meter_id, meter)
        self.assertEqual(row.account_id, account)
        self.assertEqual(row.since, START + HOUR)
        self.assertEqual(row.register, 5000)
        self.assertTrue(row.expected)
        self.assertEqual(row.responsible, "operator")
        self.assertTrue(row.to_do)
        action = row.action_open()
        self.assertEqual(
            self.env["energy.reading"].search(action["domain"]).mapped("total"), [5000]
        )

    def test_use_after_the_end_of_a_supply(self):
        meter = self.make_meter("N3")
        account = self.open_account(meter, register=100)
        self.read(meter, START + HOUR, "110")
        self.settle()
        self.end(account.supply_ids, START + 2 * HOUR, "120")
        self.assertFalse(self.rows(cause="no_account"))
        self.read(meter, START + 3 * HOUR, "127.5")
        row = self.rows(cause="no_account")
        self.assertEqual((row.since, row.quantity), (START + 2 * HOUR, 7.5))
        self.assertFalse(row.until)
        self.assertFalse(row.account_id)
        other = self.make_meter("N3 other")
        # The next customer begins at 130: what ran before belongs to nobody.
        self.read(meter, START + 4 * HOUR, "130")
        self.open_account(
            meter, start=START + 4 * HOUR, register=130, room_ids=[Command.set(other.property_id.ids)]
        )
        self.read(meter, START + 5 * HOUR, "150")
        self.settle()
        row = self.rows(cause="no_account")
        self.assertEqual((row.until, row.quantity), (START + 4 * HOUR, 10))

    def end(self, supplies, moment, register):
        """End a supply as closing an account does."""
        self.set_clock(moment)
        supplies._end(moment, {supply.id: Decimal(register) for supply in supplies})
        self.settle()

    def test_meter_that_never_served_anybody(self):
        meter = self.make_meter("N4")
        self.read(meter, START, "40")
        self.assertFalse(self.rows())
        self.read(meter, START + HOUR, "42")
        row = self.rows(cause="no_account")
        self.assertEqual((row.meter_id, row.since, row.quantity), (meter, START, 2))

    def test_account_that_is_not_opened(self):
        meter = self.make_meter("N5")
        account = self.open_account(meter, register=100, activate=False)
        self.read(meter, START + HOUR, "104")
        row = self.rows()
        self.assertEqual((row.cause, row.account_id, row.quantity), ("draft", account, 4))
        account.action_activate()
        self.settle()
        self.assertFalse(self.rows())
        self.assertEqual(self.entries(account), ["-2.40"])

    def test_meter_without_readings(self):
        meter = self.make_meter("N6")
        self.open_account(meter, register=100)
        self.env.flush_all()
        self.env.cr.execute("UPDATE energy_meter SET driver = 'modbus' WHERE id = %s", [meter.id])
        self.env["energy.meter.status"]._report([{"meter_id": meter.id, "read_at": START + HOUR}])
        self.set_clock(START + 25 * HOUR)
        self.assertFalse(self.rows())
        self.set_clock(START + 26 * HOUR)
        self.assertEqual(self.rows().mapped("cause"), ["silent"])
        self.company.energy_estimate_after = 48
        self.assertFalse(self.rows())

    def test_use_not_settled_yet(self):
        meter = self.make_meter("N7")
        account = self.open_account(meter, register=100)
        self.settle()
        self.read(meter, START + HOUR, "103")
        row = self.rows()
        self.assertEqual((row.cause, row.account_id, row.quantity), ("waiting", account, 3))
        self.settle()
        self.assertFalse(self.rows())

    def test_multiplier_and_rollover_are_in_the_quantity(self):
        meter = self.make_meter("N8")
        account = self.open_account(meter, register=999990, activate=False)
        account.supply_ids.multiplier = 20
        self.read(meter, START, "999990")
        self.read(meter, START + HOUR, "5")
        # 999990 -> 1000000 -> 5 are 15 on the register, times 20
        self.assertEqual(self.rows(cause="draft").quantity, 300)

    def test_rows_are_one_a_cause_and_meter(self):
        for name in ("N9", "N10"):
            meter = self.make_meter(name, max_power=5)
            self.open_account(meter, register=100)
            for hour in (1, 2, 3):
                self.read(meter, START + hour * HOUR, str(5000 * hour))
        self.settle()
        rows = self.rows()
        self.assertEqual(rows.mapped("cause"), ["held", "held"])
        self.assertEqual(rows.mapped("count"), [3, 3])
        self.assertEqual(len(set(rows.ids)), 2)
        groups = self.env["energy.uncharged"]._read_group(
            [("company_id", "=", self.company.id)], ["cause", "site_id"], ["__count"]
        )
        self.assertEqual(groups, [("held", self.site, 2)])
