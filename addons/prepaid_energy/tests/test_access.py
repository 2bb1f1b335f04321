import inspect
import logging
from datetime import date, timedelta

import psycopg2
from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.service.model import get_public_method
from odoo.tests import new_test_user, tagged

from .common import START, EnergyCase

ROLES = ("viewer", "cashier", "operator", "engineer", "finance", "manager")
OUTSIDERS = ("portal", "internal")
OPERATIONS = {"r": "read", "w": "write", "c": "create", "u": "unlink"}

# What a role may do beyond reading, which every role may; an empty dict: nobody writes it.
RIGHTS = {
    "energy.property": {"operator": "rwc", "manager": "rwcu"},
    "energy.account": {"operator": "rwcu", "manager": "rwcu"},
    "energy.account.change": {"operator": "rwcu", "manager": "rwcu"},
    "energy.account.change.line": {"operator": "rwcu", "manager": "rwcu"},
    "energy.meter.exchange": {"operator": "rwcu", "engineer": "rwcu", "manager": "rwcu"},
    "energy.multiplier.change": {"operator": "rwcu", "engineer": "rwcu", "manager": "rwcu"},
    "energy.meter.finding": {},
    "energy.occupancy": {},
    "energy.supply": {"operator": "rwcu", "manager": "rwcu"},
    "energy.supply.term": {"operator": "rwcu", "manager": "rwcu"},
    "energy.supply.mark": {},
    "energy.wallet": {},
    "energy.wallet.entry": {},
    "energy.balance.request": {"cashier": "rwcu", "finance": "rwcu", "manager": "rwcu"},
    "energy.security.deposit": {
        "cashier": "rwcu",
        "operator": "rwc",
        "finance": "rwcu",
        "manager": "rwcu",
    },
    "energy.security.deposit.move": {},
    "energy.billing.period": {},
    "energy.billing.line": {},
    "energy.billing.product": {"finance": "rwcu", "manager": "rwcu"},
    "energy.rating.unit": {},
    "energy.usage": {},
    "energy.meter": {"operator": "rwc", "engineer": "rwcu", "manager": "rwcu"},
    "energy.meter.status": {},
    "energy.meter.control": {},
    "energy.reading": {},
    "energy.command": {},
    "energy.command.attempt": {},
    "energy.service.mode": {"operator": "rwcu", "engineer": "rwcu", "manager": "rwcu"},
    "energy.cut.breaker": {},
    "energy.cut.breaker.line": {},
    "energy.room": {},
    "energy.settlement.problem": {},
    "energy.settlement.queue": dict.fromkeys(("viewer", "cashier", "operator", "finance"), ""),
    "energy.tariff": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.version": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.band": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.tier": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.window": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.fee": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.price": {"finance": "rwcu", "manager": "rwcu"},
    "energy.tariff.template": {},
    "energy.credit.policy": {"finance": "rwcu", "manager": "rwcu"},
    "energy.payment.method": {"finance": "rwcu", "manager": "rwcu"},
    "energy.receipt": {},
    "energy.shift": {"cashier": "rwc", "finance": "rw", "manager": "rwc"},
    "energy.entry.day": {},
    "energy.finance.day": {},
    "energy.advance.month": {},
    "energy.arrears": {},
    "energy.uncharged": {},
    "energy.price.consequence": {},
    "energy.price.consequence.line": {},
    "energy.agreement.template": {"manager": "rwcu"},
    "energy.credit.level": {"finance": "rwcu", "manager": "rwcu"},
    "energy.reconciliation": {},
    "energy.reading.review": {"engineer": "rwu", "manager": "rwu"},
    "energy.reading.review.line": {},
    "energy.reading.sheet": {"operator": "rwcu", "engineer": "rwcu", "manager": "rwcu"},
    "energy.reading.sheet.line": {"operator": "rwcu", "engineer": "rwcu", "manager": "rwcu"},
}
# Models of a site, in which a user who is bound to another site finds nothing.
SITE_MODELS = (
    "energy.property",
    "energy.account",
    "energy.account.change",
    "energy.account.change.line",
    "energy.meter.exchange",
    "energy.multiplier.change",
    "energy.meter.finding",
    "energy.occupancy",
    "energy.supply",
    "energy.supply.term",
    "energy.supply.mark",
    "energy.wallet",
    "energy.wallet.entry",
    "energy.balance.request",
    "energy.security.deposit",
    "energy.security.deposit.move",
    "energy.billing.period",
    "energy.billing.line",
    "energy.rating.unit",
    "energy.usage",
    "energy.meter",
    "energy.meter.status",
    "energy.meter.control",
    "energy.reading",
    "energy.command",
    "energy.command.attempt",
    "energy.service.mode",
    "energy.cut.breaker",
    "energy.cut.breaker.line",
    "energy.room",
    "energy.settlement.problem",
    "energy.settlement.queue",
    "energy.reconciliation",
    "energy.receipt",
    "energy.entry.day",
    "energy.finance.day",
    "energy.advance.month",
    "energy.arrears",
    "energy.reading.review",
    "energy.reading.review.line",
    "energy.reading.sheet",
    "energy.reading.sheet.line",
    "energy.uncharged",
    "energy.price.consequence.line",
)
COMPANY_MODELS = (
    "energy.billing.product",
    "energy.tariff",
    "energy.tariff.version",
    "energy.tariff.band",
    "energy.tariff.tier",
    "energy.tariff.window",
    "energy.tariff.fee",
    "energy.tariff.price",
    "energy.credit.policy",
    "energy.payment.method",
    "energy.shift",
    "energy.credit.level",
    "energy.agreement.template",
    "energy.price.consequence",
)
# Wizards of a company, which know no site.
COMPANY_WIZARDS = ("energy.tariff.choice",)
WIZARDS = (
    *COMPANY_WIZARDS,
    "energy.statement",
    "energy.operation",
    "energy.operation.line",
    "energy.top.up",
    "energy.meter.addition",
    "energy.daily.closing",
    "energy.finding.closing",
    "energy.explanation",
    "energy.cut.release",
)
# Models that the flow writes and that refuse even the superuser's ORM.
FLOW_ONLY = (
    "energy.wallet.entry",
    "energy.billing.line",
    "energy.reading",
    "energy.command",
    "energy.command.attempt",
)

# Everything of this add-on that can be called over RPC, by model; ORM methods are their own.
ORM = {"create", "write", "unlink", "default_get"}
PUBLIC = {
    "account.move": {"action_open_energy_period", "button_cancel", "button_draft"},
    "account.payment": {"action_cancel", "action_draft"},
    "energy.advance.month": {"action_open_entries"},
    "energy.arrears": {"action_top_up", "action_open_account"},
    "energy.daily.closing": {"action_print", "action_show"},
    "energy.document": {"action_cancel"},
    "energy.explanation": {
        "action_print",
        "action_open_entry",
        "action_open_usage",
        "action_open_readings",
    },
    "energy.finance.day": {"action_open_entries"},
    "energy.shift": {"action_open", "action_close", "action_open_entries", "action_open_moves"},
    "energy.account.change": {
        "action_confirm",
        "action_cancel",
        "action_open_account",
        "action_open_new_account",
        "action_open_requests",
    },
    "energy.meter.exchange": {"action_confirm", "action_cancel"},
    "energy.multiplier.change": {
        "action_confirm",
        "action_cancel",
        "action_show_consequence",
        "action_open_entries",
    },
    "energy.meter.finding": {
        "action_close",
        "action_change_multiplier",
        "action_open_readings",
        "action_open_commands",
        "action_open_command",
        "action_order_again",
    },
    "energy.finding.closing": {"action_confirm"},
    "energy.account": {
        "action_activate",
        "action_change",
        "action_open_changes",
        "action_add_meter",
        "action_open_accounts",
        "get_import_templates",
        "action_print_agreement",
        "mail_allowed_qweb_expressions",
        "action_top_up",
        "action_open_entries",
        "action_open_usage",
        "action_open_rooms",
        "action_open_receipts",
        "action_refund",
        "action_transfer",
        "action_adjust",
        "action_write_off",
        "action_open_deposits",
    },
    "energy.balance.request": {
        "action_submit",
        "action_approve",
        "action_refuse",
        "action_cancel",
        "action_open_entries",
        "action_print_receipt",
    },
    "energy.security.deposit": {
        "action_receive",
        "action_return",
        "action_apply",
        "action_open_payments",
        "action_print_receipt",
    },
    "energy.billing.line": {"action_open_period", "action_explain"},
    "energy.billing.period": {
        "action_freeze_and_invoice",
        "action_open_invoice",
        "action_open_entries",
    },
    "energy.command": {"action_order_again", "action_open_entry"},
    "energy.service.mode": {"action_start", "action_end", "action_open_commands"},
    "energy.cut.breaker": {"action_release", "action_discard"},
    "energy.cut.breaker.line": {"action_open_entries"},
    "energy.cut.release": {"action_confirm"},
    "energy.meter.addition": {"action_confirm"},
    "energy.meter": {
        "action_open_readings",
        "action_open_commands",
        "action_operate",
        "action_open_findings",
        "action_change_multiplier",
        "action_type_reading",
    },
    "energy.operation": {"action_confirm", "action_grant"},
    "energy.property": {
        "action_go_live",
        "action_trial",
        "action_watch",
        "action_open_rooms",
        "action_service_mode",
    },
    "energy.rating.unit": {"action_open_usage", "action_explain"},
    "energy.reading": {
        "action_open_entries",
        "action_open_usage",
        "action_accept",
        "action_reject",
        "action_correct",
        "action_replace_meter",
        "action_open_sheet",
    },
    "energy.reading.review": {"action_confirm"},
    "energy.reading.sheet": {
        "action_fill",
        "action_import",
        "action_confirm",
        "action_cancel",
        "action_open_readings",
    },
    "energy.reading.sheet.line": {"get_import_templates"},
    "energy.reconciliation": {
        "action_open_journal_items",
        "action_open_not_booked",
        "action_open_entries",
        "action_open_periods",
    },
    "energy.room": {
        "action_service_mode",
        "action_operate",
        "action_top_up",
        "action_open_account",
        "action_open_meter",
        "action_open_readings",
        "action_type_reading",
        "action_open_commands",
        "action_open_findings",
        "action_open_usage",
        "action_open_entries",
    },
    "energy.settlement.problem": {"action_try_again"},
    "energy.supply": {
        "action_set_tariff",
        "action_set_addition",
        "action_set_bands",
        "action_replace_meter",
        "action_change_multiplier",
    },
    "energy.tariff.choice": {"action_confirm"},
    "energy.tariff.version": {
        "action_submit",
        "action_approve",
        "action_refuse",
        "action_draft",
        "action_derive_prices",
        "action_new_version",
        "action_open_meters",
        "action_open_holders",
        "copy_data",
        "copy",
    },
    "energy.receipt": {"action_print", "action_open_entry"},
    "energy.top.up": {
        "action_confirm",
        "action_take_anyway",
        "action_back",
        "action_next",
        "action_print_again",
        "action_open_entry",
    },
    "energy.statement": {"action_print"},
    "energy.price.consequence": {
        "action_confirm",
        "action_cancel",
        "action_open_lines",
        "action_try_again",
    },
    "energy.uncharged": {"action_open", "action_open_readings"},
    "energy.usage": {"action_open_entries", "action_open_readings", "action_explain"},
    "energy.wallet": {"action_open_entries", "action_verify"},
    "energy.wallet.entry": {
        "action_open_usage",
        "action_open_readings",
        "action_open_commands",
        "action_open_payment",
        "action_print_receipt",
        "action_reverse",
        "action_explain",
    },
}


class AccessCase(EnergyCase):
    """A second site of the company, a second company, and a user of every role."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("A1")
        cls.account = cls.furnish(cls.meter)
        cls.make_tariff(
            "Of every part",
            {"peak": ["1", "2"], "valley": ["0.5", "1"]},
            limits=(50,),
            windows=[("peak", 8, 22)],
            rest="valley",
        )
        cls.other_site = cls.site.copy({"name": "Harbour Mall", "supply_state": "live"})
        cls.other_meter = cls.on_site(cls.other_site, "B1")
        cls.other_account = cls.furnish(cls.other_meter, site_id=cls.other_site.id)
        cls.users = {
            role: cls.make_user(role, f"prepaid_energy.group_energy_{role}") for role in ROLES
        }
        cls.users["portal"] = cls.make_user("portal", "base.group_portal")
        cls.users["internal"] = cls.make_user("internal", "base.group_user")

    @classmethod
    def make_user(cls, login, groups, company=None):
        company = company or cls.company
        return new_test_user(
            cls.env,
            f"energy_{login}",
            groups=groups,
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )

    @classmethod
    def on_site(cls, site, name):
        home, cls.site = cls.site, site
        try:
            return cls.make_meter(name)
        finally:
            cls.site = home

    @classmethod
    def furnish(cls, meter, **values):
        """Open an account that has one record of everything that can be seen."""
        account = cls.open_account(meter, **values)
        tariff = account.supply_ids.tariff_id
        if not tariff.version_ids.fee_ids:
            fees = [Command.create({"name": "Sewage", "amount": 1.36, "share": 90})]
            cls.env["energy.tariff.version"].create(
                {"tariff_id": tariff.id, "date_from": "2030-01-01", "fee_ids": fees}
            )
        cls.env["energy.agreement.template"].create(
            {"name": "Ours", "body": "<p>Agreed.</p>", "company_id": account.company_id.id}
        )
        account.wallet_ids._top_up(100, f"test/{account.id}", cls.method)
        cls.env["energy.receipt"]._for([f"test/{account.id}"])
        cls.read(meter, START + timedelta(hours=1), "10")
        cls.settle()
        cls.env["energy.billing.period"]._freeze({account.id: date(2026, 3, 1)}, cut=True)
        cls.env["energy.settlement.queue"]._add([(meter.id, START)])
        cls.env["energy.settlement.problem"]._record(account.id, "No price")
        cls.env["energy.balance.request"].create(
            {"kind": "refund", "account_id": account.id, "amount": 5}
        )
        cls.env["energy.security.deposit"].create(
            {"account_id": account.id, "amount": 50, "method_id": cls.method.id}
        ).action_receive()
        ordered = cls.env["energy.command"]._command(
            [
                {
                    "meter_id": meter.id,
                    "kind": "supply",
                    "value": "on",
                    "mode": "prepaid",
                    "cause": "policy",
                    "user_id": cls.env.uid,
                }
            ]
        )
        cls.env["energy.command"].browse(ordered)._sent("01 10")
        cls.env["energy.service.mode"].create(
            {
                "property_id": meter.property_id.id,
                "worker": "Zhang",
                "reason": "Sockets",
                "until": START + timedelta(days=1),
            }
        )
        cls.env["energy.account.change"].create(
            {"kind": "close", "account_id": account.id, "reason": "Moves out"}
        )
        cls.env["energy.meter.exchange"].create(
            {
                "supply_id": account.supply_ids.id,
                "new_meter_id": cls.on_site(account.site_id, f"{meter.name} new").id,
                "reason": "Defect",
            }
        )
        cls.env["energy.multiplier.change"].create(
            {"supply_id": account.supply_ids.id, "multiplier": 40, "reason": "Other transformers"}
        )
        cls.env["energy.meter.finding"]._sync(
            "silent", {meter.id: (START, "silent", {})}, [("meter_id", "=", meter.id)]
        )
        cls.env["energy.reading.sheet"].create(
            {
                "property_id": account.site_id.id,
                "line_ids": [Command.create({"meter_id": meter.id})],
            }
        )
        cls.env["energy.reading"].search([("meter_id", "=", meter.id)], limit=1).action_reject()
        cls.env["energy.price.consequence"].create(
            {
                "kind": "tariff",
                "company_id": account.company_id.id,
                "tariff_id": tariff.id,
                "line_ids": [
                    Command.create({"account_id": account.id, "site_id": account.site_id.id})
                ],
            }
        )
        cls.furnish_reports(account)
        cls.env.invalidate_all()
        return account

    @classmethod
    def furnish_reports(cls, account):
        """Give an account's site a debtor, its company a shift, and sum the entries up."""
        debtor = cls.on_site(account.site_id, f"{account.name} debt")
        cls.open_account(
            debtor,
            tariff=account.supply_ids.tariff_id,
            policy=account.credit_policy_id,
            company_id=account.company_id.id,
            site_id=account.site_id.id,
        )
        cls.read(debtor, START + timedelta(hours=1), "10")
        cls.settle()
        order = cls.env["energy.command"].search([("site_id", "=", account.site_id.id)], limit=1)
        breaker = cls.env["energy.cut.breaker"].create(
            {
                "site_id": account.site_id.id,
                "scope": "site",
                "tripped_at": START,
                "limit_count": 1,
                "service_count": 2,
                "cut_count": 0,
                "waiting_count": 1,
            }
        )
        breaker._add(order.ids)
        shifts = cls.env["energy.shift"]
        if not shifts.search([("company_id", "=", account.company_id.id)]):
            shifts.create({"company_id": account.company_id.id, "journal_id": cls.cash.id})
        moment = cls.env["energy.clock"].search([], limit=1).project_anchor + timedelta(seconds=1)
        cls.set_clock(moment)
        while cls.env["energy.entry.day"]._roll_up(moment):
            pass

    def as_user(self, who):
        """Return the environment of a role's user, or of a user, as the web client makes it."""
        user = self.users[who] if isinstance(who, str) else who
        return self.env(user=user, context={"allowed_company_ids": user.company_ids.ids})

    def sample(self, model):
        domain = [("company_id", "=", self.company.id)] if "company_id" in self.env[model] else []
        return self.env[model].search(domain, limit=1)

    def operate(self, who, action, meters, **values):
        """Carry an operation out over the wizard, as the web client or an RPC call would."""
        operation = self.as_user(who)["energy.operation"].create(
            {
                "action": action,
                "line_ids": [Command.create({"meter_id": meter.id}) for meter in meters],
                **values,
            }
        )
        operation.action_confirm()
        return operation


@tagged("post_install", "-at_install")
class TestRights(AccessCase):
    """Who may read, create, write and delete what."""

    def rights(self, model, role):
        if role in OUTSIDERS:
            return ""
        return RIGHTS[model].get(role, "r")

    def test_every_model_is_in_the_table(self):
        models = {
            name
            for name, model in self.env.registry.items()
            if model._original_module == "prepaid_energy" and not model._abstract
        }
        self.assertEqual(models, {*RIGHTS, *WIZARDS, "energy.clock"})

    def test_rights_are_those_of_the_table(self):
        for model in RIGHTS:
            for role in (*ROLES, *OUTSIDERS):
                env = self.as_user(role)
                found = "".join(
                    letter
                    for letter, operation in OPERATIONS.items()
                    if env[model].has_access(operation)
                )
                self.assertEqual(found, self.rights(model, role), f"{role} on {model}")

    def test_what_the_table_does_not_give_is_refused(self):
        for model in RIGHTS:
            record = self.sample(model)
            self.assertTrue(record, model)
            for role in (*ROLES, *OUTSIDERS):
                own = record.with_env(self.as_user(role))
                rights = self.rights(model, role)
                tries = {
                    "r": lambda own=own: own.read(["display_name"]),
                    "w": lambda own=own: own.write({}),
                    "c": lambda own=own: own.create({}),
                    "u": lambda own=own: own.unlink(),
                }
                for letter, attempt in tries.items():
                    if letter not in rights:
                        with (
                            self.subTest(model=model, role=role, operation=letter),
                            self.refused(UserError),
                        ):
                            attempt()

    def test_what_the_table_gives_works(self):
        given = {
            "energy.property": {"headcount": 3},
            "energy.account": {"note": "<p>Pays late</p>"},
            "energy.meter": {"cut_priority": 3},
            "energy.tariff": {"note": "<p>Notice 12</p>"},
            "energy.credit.policy": {"fresh_hours": 12},
        }
        for model, values in given.items():
            for role in ROLES:
                own = self.sample(model).with_env(self.as_user(role))
                self.assertTrue(own.read(["display_name"]))
                if "w" in self.rights(model, role):
                    own.write(values)
                    own.env.flush_all()

    def test_nobody_writes_what_the_flow_writes(self):
        for model in FLOW_ONLY:
            record = self.sample(model)
            values = {"meter_id": self.meter.id} if "meter_id" in record else {"amount": 1}
            for env in (self.env, self.as_user("manager")):
                own = record.with_env(env)
                with self.refused(UserError):
                    own.create(values)
                with self.refused(UserError):
                    own.write(values)
                with self.refused(UserError):
                    own.unlink()
        with self.refused(UserError, "by its entries only"):
            self.account.wallet_ids.balance = 1000000

    def test_what_follows_from_other_values_is_set_by_nobody(self):
        seen = set()
        for model in sorted(name for name in self.env.registry if name.startswith("energy.")):
            if self.env[model]._abstract:
                continue
            fields = self.env[model]._fields
            names = {n for n, f in fields.items() if f.store and f.compute and f.readonly}
            names |= getattr(self.env[model], "_flow_fields", set())
            for role in ROLES:
                own = self.as_user(role)[model]
                for name in names:
                    if own.has_access("write"):
                        seen.add(model)
                        with self.subTest(model=model, role=role, field=name), self.refused():
                            own.write({name: False})
                    given = getattr(own, "_given_fields", ())
                    if own.has_access("create") and name not in given:
                        with self.subTest(model=model, role=role, made=name), self.refused():
                            own.create({name: False})
        self.assertGreaterEqual(seen, {"energy.meter", "energy.property", "energy.account"})

    def test_only_managers_decide_what_is_cut(self):
        rooms = self.meter.property_id
        for name, value in (("supply_state", "trial"), ("is_trial", True)):
            for role in ("operator", "engineer"):
                with self.subTest(name=name, role=role), self.refused():
                    self.meter.property_id.with_env(self.as_user(role)).write({name: value})
            with self.refused():
                self.as_user("operator")["energy.property"].create(
                    {"name": "New", "kind": "room", "parent_id": self.site.id, name: value}
                )
            rooms.with_env(self.as_user("manager")).write({name: value})
        made = self.as_user("operator")["energy.property"].create(
            {"name": "New", "kind": "room", "parent_id": self.site.id, "is_trial": False}
        )
        made.name = "Newer"

    def test_company_of_a_place_in_use_stays(self):
        other = self.env["res.company"].create({"name": "Hill Estates"})
        companies = self.company | other
        operator = self.make_user("two", "prepaid_energy.group_energy_operator")
        operator.company_ids = companies
        env = self.env(user=operator, context={"allowed_company_ids": companies.ids})
        sites = env["energy.property"]
        values = {"kind": "site", "tz": "Asia/Shanghai", "company_id": self.company.id}
        empty, parts, drafts, metered = sites.create(
            [{"name": name, **values} for name in ("Empty", "Parts", "Draft", "Metered")]
        )
        room = {"name": "1", "kind": "room", "parent_id": parts.id, "active": False}
        sites.create({**room, "company_id": self.company.id})
        customer = {"partner_id": self.account.partner_id.id, "site_id": drafts.id}
        env["energy.account"].create({**customer, "company_id": self.company.id})
        env["energy.meter"].create({"name": "M", "property_id": metered.id, "active": False})
        for site in (parts, drafts, metered, self.site.with_env(env)):
            with self.subTest(site=site.name), self.refused(UserError, "belong to its company"):
                site.company_id = other
            site.write({"company_id": self.company.id, "name": f"{site.name} 2"})
        empty.company_id = other
        self.assertEqual(empty.company_id, other)

    def test_a_meter_is_commissioned_and_switched_by_its_documents_only(self):
        meters = self.as_user("operator")["energy.meter"]
        meter = self.meter.with_env(meters.env)
        room = meter.property_id.id
        for name in ("can_switch", "is_commissioned"):
            with self.refused(AccessError, "not typed"):
                meter.write({name: True})
            with self.refused(AccessError, "not typed"):
                meters.create({"name": "New", "property_id": room, name: True})
            found = meters.load(["name", "property_id/.id", name], [["New", str(room), "True"]])
            self.assertFalse(found["ids"])
        made = meters.with_context(default_can_switch=True, default_cut_priority=3).create(
            {"name": "New", "property_id": room}
        )
        self.assertEqual((made.can_switch, made.cut_priority), (False, 3))

    def test_who_decided_on_a_tariff_is_no_default(self):
        other = self.users["cashier"].id
        version = (
            self.as_user("finance")["energy.tariff.version"]
            .with_context(default_submitted_by_id=other, default_refusal="Too dear")
            .create({"tariff_id": self.flat_tariff.id, "date_from": "2031-01-01"})
        )
        self.assertEqual((version.submitted_by_id.id, version.refusal), (False, "Too dear"))
        with self.refused(AccessError, "Who decided"):
            version.submitted_by_id = other
        # Whoever may not write tariffs moves none of them on either.
        with self.refused(AccessError):
            version.with_env(self.as_user("viewer")).action_submit()

    def test_state_of_an_account_is_not_written_by_hand(self):
        operator = self.as_user("operator")
        account = self.account.with_env(operator)
        for values in ({"state": "draft"}, {"state": "closed"}, {"closed_at": START}):
            with self.refused():
                account.write(values)
        with self.refused(UserError):
            account.write({"site_id": self.other_site.id})
        partner = self.env["res.partner"].create({"name": "New tenant"}).id
        values = {"partner_id": partner, "site_id": self.site.id}
        with self.refused():
            operator["energy.account"].create({**values, "state": "active"})
        accounts = operator["energy.account"].with_context(default_state="active")
        self.assertEqual(accounts.create(values).state, "draft")

    def test_supply_in_service_is_neither_ended_nor_priced_by_hand(self):
        operator = self.as_user("operator")
        supply = self.account.supply_ids.with_env(operator)
        cheap = self.make_tariff("Cheap", {"flat": ["0.010000"]})
        with self.refused():
            supply.end_at = START + timedelta(hours=2)
        with self.refused():
            supply.term_ids.create(
                {"supply_id": supply.id, "since": START + timedelta(hours=2), "tariff_id": cheap.id}
            )
        with self.refused(UserError):
            supply.tariff_id = cheap.id
        with self.refused():
            supply.term_ids.multiplier = 0.5
        with self.refused(UserError):
            supply.term_ids.unlink()
        draft = self.open_account(self.make_meter("A7"), activate=False)
        with self.refused():
            draft.with_env(operator).supply_ids.term_ids.supply_id = supply

    def test_operator_opens_an_account_and_cashier_sells(self):
        meter = self.make_meter("A8")
        account = self.as_user("operator")["energy.account"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "New tenant"}).id,
                "site_id": self.site.id,
                "room_ids": [Command.set(meter.property_id.ids)],
                "supply_ids": [
                    Command.create(
                        {
                            "meter_id": meter.id,
                            "start_at": START,
                            "tariff_id": self.flat_tariff.id,
                            "multiplier": 1,
                        }
                    )
                ],
            }
        )
        account.action_activate()
        self.assertEqual(account.state, "active")
        cashier = self.as_user("cashier")
        top_up = cashier["energy.top.up"].create({"account_id": account.id, "amount": 50})
        top_up.action_confirm()
        self.assertEqual(account.balance, 50)
        entry = account.entry_ids
        self.assertEqual(entry.user_id, cashier.user)
        self.assertTrue(top_up.result)
        top_up.action_confirm()
        self.assertEqual(len(account.entry_ids), 1)

    def test_sites_that_cut_are_the_managers_business(self):
        for role in ROLES:
            env = self.as_user(role)
            site = self.site.with_env(env)
            if role == "manager":
                site.action_watch()
                self.assertEqual(site.supply_state, "watch")
                site.action_trial()
                self.operate(role, "go_live", [], site_id=site.id)
                self.assertEqual(site.supply_state, "live")
                continue
            for attempt in (
                site.action_watch,
                site.action_trial,
                lambda site=site: site.write({"supply_state": "watch"}),
                lambda env=env: env["energy.property"].create(
                    {"name": "New", "kind": "site", "supply_state": "live"}
                ),
                lambda env=env: (
                    env["energy.property"]
                    .with_context(default_supply_state="live")
                    .create({"name": "New", "kind": "site"})
                ),
                lambda role=role: self.operate(role, "go_live", [], site_id=self.site.id),
            ):
                with self.refused():
                    attempt()

    def test_actions_are_refused_by_the_server(self):
        draft = self.open_account(self.make_meter("A9"), activate=False)
        version = self.add_version(self.flat_tariff, {"flat": ["0.7"]}, date_from="2027-01-01")
        version.action_draft()
        problem = self.env["energy.settlement.problem"].search([], limit=1)
        allowed = {
            "activate": ("operator", "manager"),
            "approve": ("manager",),
            "again": ("operator", "engineer", "finance", "manager"),
            "top_up": ("cashier", "manager"),
        }
        for role in (*ROLES, *OUTSIDERS):
            env = self.as_user(role)
            attempts = {
                "activate": draft.with_env(env).action_activate,
                "approve": version.with_env(env).action_approve,
                "again": problem.with_env(env).action_try_again,
                "top_up": lambda env=env: (
                    env["energy.top.up"]
                    .create({"account_id": self.account.id, "amount": 5})
                    .action_confirm()
                ),
            }
            for name, attempt in attempts.items():
                if role not in allowed[name]:
                    with self.subTest(role=role, action=name), self.refused():
                        attempt()
        self.assertEqual(draft.state, "draft")
        self.assertEqual(version.state, "draft")
        with self.refused():
            version.with_env(self.as_user("finance")).state = "approved"
        problem.with_env(self.as_user("engineer")).action_try_again()
        version.with_env(self.as_user("manager")).action_approve()
        self.assertEqual(version.state, "approved")

    def test_documents_of_accounts_and_meters_are_carried_out_by_those_who_keep_them(self):
        change = self.sample("energy.account.change")
        exchange = self.sample("energy.meter.exchange")
        for role in (*ROLES, *OUTSIDERS):
            env = self.as_user(role)
            for record, roles in (
                (change, ("operator", "manager")),
                (exchange, ("operator", "engineer", "manager")),
            ):
                own = record.with_env(env)
                if role not in roles:
                    with self.subTest(role=role, model=record._name):
                        with self.refused():
                            own.action_confirm()
                        with self.refused():
                            own.action_cancel()
        exchange.moment = self.env["energy.clock"].search([], limit=1).project_anchor
        exchange.with_env(self.as_user("engineer")).action_confirm()
        self.assertEqual(exchange.state, "done")
        with self.refused(UserError, "stays as it is"):
            exchange.with_env(self.as_user("manager")).opening_register = 5
        with self.refused(UserError, "never deleted"):
            exchange.with_env(self.as_user("manager")).unlink()

    def test_approved_prices_stay(self):
        manager = self.as_user("manager")
        version = self.add_version(self.flat_tariff, {"flat": ["0.7"]}, date_from="2027-01-01")
        draft = self.add_version(self.flat_tariff, {"flat": ["0.8"]}, date_from="2028-01-01")
        draft.action_draft()
        with self.refused(UserError, "is approved"):
            version.with_env(manager).date_from = "2026-06-01"
        with self.refused(UserError, "is approved"):
            version.with_env(manager).price_ids.price = 0
        with self.refused(UserError, "is approved"):
            draft.with_env(manager).price_ids.version_id = version
        draft.with_env(manager).price_ids.unlink()
        with self.refused(UserError, "cannot be approved"):
            draft.with_env(manager).state = "approved"

    def test_users_do_not_choose_their_own_sites(self):
        for role in ROLES:
            user = self.users[role]
            with self.refused():
                user.with_env(self.as_user(role)).energy_site_ids = self.site


@tagged("post_install", "-at_install")
class TestSites(AccessCase):
    """Users bound to sites find only those sites' records; companies are separate."""

    def bound(self, site, groups="prepaid_energy.group_energy_manager"):
        user = self.make_user(f"bound_{site.id}", groups)
        user.energy_site_ids = site
        return user

    def check_finds_only(self, env, model, records, others):
        """Search, grouping, counting and reading by id agree on what is there."""
        own = env[model]
        found = own.with_context(active_test=False).search([])
        self.assertTrue(records, model)
        self.assertTrue(others, model)
        self.assertFalse(set(found.ids) & set(others.ids), model)
        self.assertLessEqual(set(records.ids), set(found.ids), model)
        everything = own.with_context(active_test=False)
        self.assertEqual(everything.search_count([]), len(found), model)
        self.assertEqual(everything._read_group([], [], ["__count"]), [(len(found),)], model)
        groups = everything.formatted_read_group([], [], ["__count"])
        self.assertEqual(groups[0]["__count"], len(found), model)
        self.assertEqual(everything.search_fetch([("id", "in", others.ids)], ["id"]).ids, [], model)
        records.with_env(env).read(["display_name"])
        for record in others:
            with self.subTest(model=model, record=record.id), self.refused():
                own.browse(record.id).read(["display_name"])

    def test_user_bound_to_a_site_finds_that_site_only(self):
        env = self.as_user(self.bound(self.site))
        for model in SITE_MODELS:
            records = self.env[model].search([("site_id", "=", self.site.id)])
            others = self.env[model].search([("site_id", "=", self.other_site.id)])
            self.check_finds_only(env, model, records, others)

    def test_user_without_sites_finds_all_sites_of_the_company(self):
        env = self.as_user("manager")
        for model in SITE_MODELS:
            sites = env[model].search([]).site_id
            self.assertLessEqual({self.site.id, self.other_site.id}, set(sites.ids), model)

    def test_user_of_an_archived_site_does_not_find_all(self):
        user = self.bound(self.site)
        self.site.active = False
        self.assertEqual(self.as_user(user)["energy.account"].search([]).site_id.ids, self.site.ids)

    def test_site_of_a_bound_user_is_not_deleted(self):
        site = self.env["energy.property"].create(
            {"name": "Empty", "kind": "site", "tz": "UTC", "company_id": self.company.id}
        )
        user = self.bound(site)
        with self.refused(psycopg2.IntegrityError):
            site.unlink()
        self.assertFalse(self.as_user(user)["energy.account"].search([]))

    def test_companies_are_separate(self):
        company = self.company
        stranger = self.env["res.company"].create(
            {"name": "Hill Estates", "currency_id": company.currency_id.id}
        )
        theirs = {}
        self.env["energy.billing.product"]._set_up(stranger)
        policy = self.env["energy.credit.policy"].create(
            {"name": "Theirs", "company_id": stranger.id}
        )
        site = self.env["energy.property"].create(
            {"name": "Hill", "kind": "site", "tz": "Asia/Shanghai", "company_id": stranger.id}
        )
        cls = type(self)
        home = cls.company, cls.site
        cls.company, cls.site = stranger, site
        try:
            tariff = self.make_tariff(
                "Theirs",
                {"peak": ["1", "2"], "valley": ["0.5", "1"]},
                limits=(50,),
                windows=[("peak", 8, 22)],
                rest="valley",
            )
            self.env["account.chart.template"].try_loading(
                "generic_coa", company=stranger, install_demo=False
            )
            stranger.currency_id = company.currency_id
            books_home = cls.method, cls.cash
            cls.cash = self.env["account.journal"].create(
                {"name": "Theirs", "type": "cash", "code": "CSH8", "company_id": stranger.id}
            )
            stranger._energy_set_up_books()
            cls.method = self.env["energy.payment.method"].create(
                {"name": "Theirs", "journal_id": cls.cash.id, "company_id": stranger.id}
            )
            try:
                self.furnish(self.make_meter("C1"), tariff=tariff, policy=policy)
            finally:
                cls.method, cls.cash = books_home
        finally:
            cls.company, cls.site = home
        env = self.as_user("manager")
        for model in (*SITE_MODELS, *COMPANY_MODELS):
            theirs = self.env[model].search([("company_id", "=", stranger.id)])
            ours = self.env[model].search([("company_id", "=", company.id)])
            self.check_finds_only(env, model, ours, theirs)
        their_user = self.make_user("stranger", "prepaid_energy.group_energy_manager", stranger)
        for model in (*SITE_MODELS, *COMPANY_MODELS):
            found = self.as_user(their_user)[model].search([])
            self.assertEqual(found.company_id, stranger, model)

    def test_every_model_has_rules_by_site_and_company(self):
        for model in (*SITE_MODELS, *COMPANY_MODELS, *WIZARDS):
            rules = self.env["ir.rule"].search(
                [("model_id.model", "=", model), ("groups", "=", False)]
            )
            text = " ".join(rules.mapped("domain_force"))
            self.assertIn("company_ids", text, model)
            if model not in (*COMPANY_MODELS, *COMPANY_WIZARDS):
                self.assertIn("user.energy_site_ids", text, model)

    def test_records_are_not_made_on_other_sites(self):
        env = self.as_user(self.bound(self.site))
        with self.refused():
            env["energy.property"].create(
                {"name": "New", "kind": "room", "parent_id": self.other_site.id}
            )
        with self.refused():
            env["energy.meter"].create(
                {"name": "New", "property_id": self.other_meter.property_id.id}
            )
        with self.refused():
            env["energy.account"].create(
                {"partner_id": self.account.partner_id.id, "site_id": self.other_site.id}
            )
        with self.refused():
            env["energy.account"].browse(self.other_account.id).action_activate()

    def test_wizards_do_not_reach_other_sites(self):
        user = self.bound(self.site)
        env = self.as_user(user)
        number = self.other_meter.control_id.last_number
        for action in ("read", "on", "off", "hold", "prepaid", "set_tariff"):
            with self.subTest(action=action), self.refused():
                self.operate(user, action, self.other_meter, tariff_id=self.flat_tariff.id)
        own = env["energy.operation"].create(
            {"action": "off", "line_ids": [Command.create({"meter_id": self.meter.id})]}
        )
        with self.refused():
            own.line_ids.meter_id = self.other_meter
            own.action_confirm()
        with self.refused():
            self.operate(user, "go_live", [], site_id=self.other_site.id)
        with self.refused():
            env["energy.meter"].browse(self.other_meter.id).with_context(
                energy_action="off"
            ).action_operate()
        with self.refused():
            env["energy.room"].browse(self.other_meter.id).with_context(
                energy_action="on"
            ).action_operate()
        self.env.invalidate_all()
        self.assertEqual(self.other_meter.control_id.last_number, number)

    def test_balances_of_other_sites_are_not_seen_through_wizards(self):
        env = self.as_user(self.bound(self.site))
        with self.refused():
            env["energy.operation.line"].create(
                {
                    "operation_id": env["energy.operation"].create({"action": "read"}).id,
                    "meter_id": self.other_meter.id,
                }
            ).read(["balance"])
        with self.refused():
            env["energy.top.up"].create({"account_id": self.other_account.id, "amount": 5}).read(
                ["balance"]
            )
        top_up = env["energy.top.up"].create({"account_id": self.account.id, "amount": 5})
        with self.refused(UserError, "another account"):
            top_up.wallet_id = self.other_account.wallet_ids
            top_up.action_confirm()
        with self.refused():
            top_up.account_id = self.other_account
            top_up.action_confirm()
        self.assertEqual(self.other_account.balance, 94)

    def test_wizard_of_another_user_is_not_found(self):
        top_up = self.as_user("cashier")["energy.top.up"].create(
            {"account_id": self.account.id, "amount": 5}
        )
        other = self.make_user("cashier_2", "prepaid_energy.group_energy_cashier")
        with self.refused():
            top_up.with_env(self.as_user(other)).action_confirm()


@tagged("post_install", "-at_install")
class TestOrders(AccessCase):
    """Who switches, prices and sells, and with which amounts."""

    def test_only_operators_and_engineers_switch(self):
        for role in (*ROLES, *OUTSIDERS):
            for action in ("read", "on", "off", "hold", "prepaid"):
                if role in ("operator", "engineer", "manager"):
                    operation = self.operate(role, action, self.meter)
                    if action != "read":  # nothing drives the meter, so nothing can read it
                        self.assertTrue(operation.line_ids.is_done, operation.line_ids.result)
                else:
                    with self.subTest(role=role, action=action), self.refused():
                        self.operate(role, action, self.meter)
        self.assertEqual(
            set(
                self.env["energy.command"]
                .search([("cause", "=", "person"), ("meter_id", "=", self.meter.id)])
                .user_id.mapped("login")
            ),
            {"energy_operator", "energy_engineer", "energy_manager"},
        )

    def test_only_managers_set_tariffs(self):
        dear = self.make_tariff("Dear", {"flat": ["2.000000"]})
        since = START + timedelta(hours=3)
        for role in (*ROLES, *OUTSIDERS):
            if role != "manager":
                with self.refused():
                    self.operate(role, "set_tariff", self.meter, tariff_id=dear.id, since=since)
        operation = self.operate(
            "manager", "set_tariff", self.meter, tariff_id=dear.id, since=since
        )
        self.assertTrue(operation.line_ids.is_done, operation.line_ids.result)
        self.assertEqual(self.account.supply_ids.term_ids.tariff_id, self.flat_tariff + dear)

    def test_only_managers_grant_supply_in_arrears(self):
        self.read(self.meter, START + timedelta(hours=2), "300")
        self.settle()
        until = START + timedelta(days=1)
        for role in ("operator", "engineer", "manager"):
            operation = self.operate(role, "on", self.meter, granted_until=until)
            # Confirming grants nothing to anybody, whatever the request says.
            self.assertFalse(operation.line_ids.is_done, role)
            self.assertIn("In arrears", operation.line_ids.result)
            if role != "manager":
                with self.refused():
                    operation.action_grant()
        self.assertFalse(self.meter.control_id.granted_until)
        operation.action_grant()
        self.assertTrue(operation.line_ids.is_done, operation.line_ids.result)
        self.assertEqual(self.meter.control_id.granted_until, until)
        operation = self.operate("manager", "off", self.meter, granted_until=until)
        with self.refused():
            operation.action_grant()

    def test_refused_order_is_logged(self):
        logger = "odoo.addons.prepaid_energy.wizard.energy_operation"
        with (
            self.assertLogs(
                logger, logging.INFO
            ) as logs,  # Odoo gives the name INFO to another level
            self.refused(AccessError, "do not have the right for this operation"),
        ):
            self.operate("cashier", "off", self.meter)
        self.assertIn(f"User {self.users['cashier'].id} was refused", logs.output[0])
        self.assertIn(str(self.meter.id), logs.output[0])

    def test_supply_off_without_a_reason_is_refused(self):
        for action in ("off", "hold"):
            with self.refused(UserError, "reason"):
                self.operate("operator", action, self.meter, reason=False)
        self.operate("operator", "off", self.meter, reason=False, remark="Burst pipe")
        self.assertEqual(
            self.env["energy.command"]
            .search([("cause", "=", "person"), ("meter_id", "=", self.meter.id)])
            .reason,
            "Burst pipe",
        )

    def test_amounts_that_are_none_are_refused(self):
        env = self.as_user("cashier")
        amounts = (
            float("nan"),
            float("inf"),
            float("-inf"),
            1e18,
            1e12,
            -5,
            -0.01,
            0,
            1e-9,
            0.001,
            10.005,
            0.1 + 1e-6,
        )
        before = self.account.entry_ids
        for amount in amounts:
            with (
                self.subTest(amount=amount),
                self.refused(UserError, "smallest unit|above zero|not an amount"),
            ):
                env["energy.top.up"].create(
                    {"account_id": self.account.id, "amount": amount}
                ).action_confirm()
            with (
                self.subTest(amount=amount, by="write"),
                self.refused(UserError, "smallest unit|above zero|not an amount"),
            ):
                top_up = env["energy.top.up"].create({"account_id": self.account.id, "amount": 5})
                top_up.amount = amount
                top_up.action_confirm()
            with (
                self.subTest(amount=amount, by="flow"),
                self.refused(UserError, "smallest unit|above zero|not an amount"),
            ):
                self.account.wallet_ids._top_up(amount, f"test/{amount}", self.method)
        self.assertEqual(self.account.entry_ids, before)

    def test_counter_takes_the_company_s_methods_and_its_own_keys_only(self):
        env = self.as_user("cashier")
        other = self.env["res.company"].create({"name": "Hill Estates"})
        journal = self.env["account.journal"].create(
            {"name": "Hill", "type": "cash", "code": "CSH7", "company_id": other.id}
        )
        strange = self.env["energy.payment.method"].create(
            {"name": "Hill cash", "journal_id": journal.id, "company_id": other.id}
        )
        top_up = env["energy.top.up"].create({"account_id": self.account.id, "amount": 5})
        top_up.sudo().method_id = strange
        top_up.invalidate_recordset()
        with self.refused(AccessError):
            top_up.action_confirm()
        with self.refused(AccessError, "chosen by the form"):
            env["energy.top.up"].create(
                {"account_id": self.account.id, "amount": 5, "key": "provider/4711"}
            ).action_confirm()


@tagged("post_install", "-at_install")
class TestRemoteCalls(AccessCase):
    """What can be called over RPC is what is meant to be."""

    def own_functions(self, model):
        """Yield the functions that this add-on defines on a model."""
        for cls in type(self.env[model]).mro():
            if cls.__module__.startswith("odoo.addons.prepaid_energy."):
                yield from (
                    (name, value)
                    for name, value in vars(cls).items()
                    if inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod))
                )

    def test_public_methods_are_the_intended_ones(self):
        for model in self.env.registry:
            found = set()
            for name, _function in self.own_functions(model):
                try:
                    get_public_method(self.env[model], name)
                except AccessError:
                    continue
                found.add(name)
            self.assertEqual(found - ORM, self.intended(model), model)

    def intended(self, model):
        """A model of another add-on has what it inherits from models here."""
        if model in PUBLIC:
            return PUBLIC[model]
        parents = {getattr(cls, "_name", None) for cls in type(self.env[model]).mro()}
        return set().union(*(PUBLIC.get(parent, ()) for parent in parents))

    def test_steps_of_the_flow_are_not_callable(self):
        for model, name in (
            ("energy.wallet", "_post"),
            ("energy.wallet", "_top_up"),
            ("energy.reading", "_ingest"),
            ("energy.reading", "init"),
            ("energy.settlement", "_run"),
            ("energy.command", "_command"),
            ("energy.command", "_confirm"),
            ("energy.meter.control", "_order_by_person"),
            ("energy.meter.status", "_report"),
            ("energy.clock", "_set"),
            ("energy.operation.line", "_carry_out"),
            ("energy.balance.request", "_submit"),
            ("energy.balance.request", "_approve"),
            ("energy.balance.request", "_carry_out"),
            ("energy.security.deposit", "_move"),
        ):
            self.assertTrue(hasattr(self.env[model], name), name)
            with self.refused(AccessError, "Private"):
                get_public_method(self.env[model], name)
