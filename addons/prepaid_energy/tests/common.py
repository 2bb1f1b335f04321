from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import TransactionCase, new_test_user
from odoo.tools import mute_logger

START = datetime(2026, 3, 1, 0, 0) - timedelta(hours=8)  # midnight of 1 March in Shanghai, in UTC


class EnergyCase(TransactionCase):
    """A company with books, a live site in Shanghai, tariffs, and a way to open accounts."""

    plants_defect = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context=dict(cls.env.context, tracking_disable=True, lang="en_US"))
        cls.company = cls.env["res.company"].create(
            {"name": "Harbour Estates", "currency_id": cls.env.ref("base.CNY").id}
        )
        cls.env.ref("base.CNY").active = True
        cls.env.user.company_ids += cls.company
        cls.env.user.company_id = cls.company
        cls.env = cls.env(context=dict(cls.env.context, allowed_company_ids=cls.company.ids))
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=cls.company, install_demo=False
        )
        cls.company.currency_id = cls.env.ref("base.CNY")
        cls.cash = cls.env["account.journal"].create(
            {"name": "Cash", "type": "cash", "code": "CSH9", "company_id": cls.company.id}
        )
        cls.company._energy_set_up_books()
        cls.methods = cls.env["energy.payment.method"].search([("company_id", "=", cls.company.id)])
        cls.method = cls.methods.filtered(lambda method: method.kind == "cash")
        cls.policy = cls.env["energy.credit.policy"].create(
            {"name": "Off at zero", "company_id": cls.company.id, "fresh_hours": 24}
        )
        cls.company.energy_credit_policy_id = cls.policy
        cls.site = cls.env["energy.property"].create(
            {
                "name": "Harbour Gardens",
                "kind": "site",
                "tz": "Asia/Shanghai",
                "company_id": cls.company.id,
                "supply_state": "live",
            }
        )
        cls.flat_tariff = cls.make_tariff("Flat", {"flat": ["0.600000"]})
        cls.set_clock(START)

    def tearDown(self):
        """Every test ends by running the checker; one that plants a defect says so."""
        if not self.plants_defect:
            self.assertChecked()
        super().tearDown()

    @classmethod
    def set_clock(cls, moment):
        """Freeze the project clock of the test's transaction."""
        cls.env["ir.config_parameter"].set_param("prepaid_energy.clock_is_adjustable", "1")
        cls.env["energy.clock"]._set(moment, 0)

    @classmethod
    def make_tariff(
        cls,
        name,
        prices,
        limits=(),
        windows=(),
        rest=None,
        commodity="electricity",
        date_from="2020-01-01",
        allocation="to_date",
        charges=None,
        **terms,
    ):
        """Make an approved tariff.

        :param dict prices: list of prices by tier, by key of the rate period
        :param limits: upper limits of all tiers but the last
        :param windows: tuples (key, hour from, hour to)
        :param str rest: key of the rate period that takes the rest of the day
        :param dict charges: further values of the version
        :param terms: further values of the tariff
        """
        tariff = cls.env["energy.tariff"].create(
            {
                "name": name,
                "commodity": commodity,
                "company_id": cls.company.id,
                "allocation": allocation,
                **terms,
            }
        )
        cls.add_version(tariff, prices, limits, windows, rest, date_from, charges)
        return tariff

    @classmethod
    def add_version(
        cls,
        tariff,
        prices,
        limits=(),
        windows=(),
        rest=None,
        date_from="2020-01-01",
        charges=None,
    ):
        version = cls.env["energy.tariff.version"].create(
            {
                "tariff_id": tariff.id,
                "date_from": date_from,
                **(charges or {}),
                "band_ids": [
                    Command.create(
                        {"name": key, "key": key, "is_rest": key == rest or len(prices) == 1}
                    )
                    for key in prices
                ],
                "tier_ids": [
                    Command.create({"number": number + 1, "limit": limit})
                    for number, limit in enumerate([*limits, 0])
                ]
                if limits
                else [],
            }
        )
        bands = {band.key: band.id for band in version.band_ids}
        version.window_ids = [
            Command.create(
                {"band_id": bands[key], "hour_from": start, "hour_to": end, "sequence": position}
            )
            for position, (key, start, end) in enumerate(windows)
        ]
        version.price_ids = [
            Command.create({"band_id": bands[key], "tier": tier + 1, "price": float(price)})
            for key, tiers in prices.items()
            for tier, price in enumerate(tiers)
        ]
        version._approve()
        return version

    @classmethod
    def new_user(cls, role, login, company=None, **values):
        """Return a new user of the company with a role, or several: "operator,cashier"."""
        return new_test_user(
            cls.env,
            login,
            groups=",".join(f"prepaid_energy.group_energy_{one}" for one in role.split(",")),
            company_id=(company or cls.company).id,
            company_ids=[Command.set((company or cls.company).ids)],
            **values,
        )

    @classmethod
    def make_meter(cls, name, commodity="electricity", **values):
        room = cls.env["energy.property"].create(
            {
                "name": f"Room {name}",
                "kind": "room",
                "parent_id": cls.site.id,
                "company_id": cls.company.id,
            }
        )
        meter = cls.env["energy.meter"].create(
            {"name": name, "commodity": commodity, "property_id": room.id, **values}
        )
        # What a driver's add-on would say of a meter with a relay.
        cls.env.flush_all()
        cls.env.cr.execute("UPDATE energy_meter SET can_switch = TRUE WHERE id = %s", [meter.id])
        meter.invalidate_recordset()
        return meter

    @classmethod
    def open_account(
        cls, *meters, tariff=None, start=START, register=0.0, policy=None, activate=True, **values
    ):
        account = cls.env["energy.account"].create(
            {
                "partner_id": cls.env["res.partner"]
                .create({"name": f"Tenant {meters[0].name}"})
                .id,
                "company_id": cls.company.id,
                "site_id": cls.site.id,
                "room_ids": [Command.set([meter.property_id.id for meter in meters])],
                "credit_policy_id": (policy or cls.policy).id,
                "supply_ids": [
                    Command.create(
                        {
                            "meter_id": meter.id,
                            "start_at": start,
                            "opening_register": register,
                            "tariff_id": (tariff or cls.flat_tariff).id,
                            "multiplier": 1,
                        }
                    )
                    for meter in meters
                ],
                **values,
            }
        )
        if activate:
            account.action_activate()
        return account

    @classmethod
    def read(cls, meter, moment, total, source="poll"):
        """Deliver one reading; the clock is moved up to it where it lies ahead."""
        now = cls.env["energy.clock"].search([], limit=1).project_anchor
        if moment > now:
            cls.set_clock(moment)
        return cls.env["energy.reading"]._ingest([(meter.id, moment, Decimal(total), None, source)])

    @classmethod
    def settle(cls):
        """Settle everything that is queued, in the test's transaction."""
        cls.env["energy.settlement"]._settle_here()
        cls.env.invalidate_all()

    def use(self, hours, total):
        """Read the test's meter so many hours after the start, and settle."""
        self.read(self.meter, START + timedelta(hours=hours), total)
        self.settle()

    def last(self):
        """Return the last command of the test's meter."""
        return self.env["energy.command"].search([("meter_id", "=", self.meter.id)], limit=1)

    def receivable(self, move):
        """Return the items of a journal entry that are due from the customer."""
        return move.line_ids.filtered(lambda item: item.account_type == "asset_receivable")

    def top_up(self, account, amount, key=None):
        wallet = account.wallet_ids[:1]
        return wallet._top_up(amount, key or f"test/{account.id}/{amount}", self.method)

    def entries(self, account, kind="use"):
        """Return the amounts of an account's entries, oldest first."""
        entries = self.env["energy.wallet.entry"].search(
            [("account_id", "=", account.id), ("kind", "=", kind)], order="id"
        )
        return [f"{entry.amount:.2f}" for entry in entries]

    def commands(self, meter):
        """Return a meter's commands as (number, kind, value, state), oldest first."""
        return [
            (command.number, command.kind, command.value, command.state)
            for command in self.env["energy.command"].search(
                [("meter_id", "=", meter.id)], order="number"
            )
        ]

    @contextmanager
    def refused(self, exception=AccessError, pattern=""):
        """Expect a refusal, whose log lines are muted; what was done before it is undone."""
        muted = mute_logger(
            "odoo.sql_db",
            "odoo.addons.base.models.ir_rule",
            "odoo.addons.base.models.ir_model",
            "odoo.models",
            "odoo.orm.models",
        )
        with muted, self.assertRaisesRegex(exception, pattern), self.env.cr.savepoint():
            yield

    def nightly(self):
        """Run the nightly check; return the findings of each rule that has some."""
        self.env.cr.execute("DELETE FROM energy_task_done WHERE task = 'check'")
        self.env.flush_all()
        with patch.object(type(self.env["ir.cron"]), "_commit_progress", lambda *a, **k: 60):
            self.env["energy.checker"]._cron_check()
        self.env.cr.execute("SELECT rule, findings FROM energy_checker_mark")
        return {
            rule: [sentence for _company, sentence in findings]
            for rule, findings in self.env.cr.fetchall()
            if findings
        }

    def assertChecked(self):
        """Every rule of the checker holds."""
        findings = {
            result["name"]: result["findings"]
            for result in self.env["energy.checker"]._check()
            if result["findings"]
        }
        self.assertFalse(findings)
