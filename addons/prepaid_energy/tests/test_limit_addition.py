from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..models.energy_price_consequence import EnergyPriceConsequence
from ..models.energy_supply_term_change import EnergySupply
from .common import START
from .planting import PropertyCase
from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestLimitAddition(PropertyCase, RatingCase):
    """Bigger households (T9): who notes them, from when, and what that changes of the past."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tariff = cls.make_tariff("Tiers", {"flat": ["0.500000", "1.000000"]}, limits=(100,))
        cls.manager = cls.new_user("manager", "addition_manager")
        cls.operator = cls.new_user("operator", "addition_operator")

    def as_user(self, user):
        return self.env(user=user, context={"allowed_company_ids": self.company.ids})

    def ask(self, supply, addition, since, user=None):
        """Carry out *Add to tier limits*; return what it answers."""
        action = supply.with_env(self.as_user(user or self.manager)).action_set_addition()
        operation = self.as_user(user or self.manager)["energy.operation"].browse(action["res_id"])
        with Form(operation) as form:
            form.limit_addition = addition
            form.since = since
        return operation, operation.action_confirm()

    def test_account_opened_with_it(self):
        meter = self.make_meter("F1")
        draft = self.open_account(meter, tariff=self.tariff, activate=False)
        account = draft.with_env(self.as_user(self.operator))
        with Form(account) as form, form.supply_ids.edit(0) as line:
            line.limit_addition = 100
        account.action_activate()
        self.reads(meter, (10, "250"))
        # 200 x 0.50 + 50 x 1.00
        self.assertEqual(self.due(draft), {"2026-03": "150.00"})
        self.assertEqual(draft.supply_ids.limit_addition, 100)
        # In service it is changed from a date on only.
        with self.refused(UserError, "from a date on"):
            draft.supply_ids.limit_addition = 50

    def test_imported_with_it(self):
        meter = self.make_meter("F2")
        self.env["res.partner"].create({"name": "Family of Five"})
        result = self.as_user(self.operator)["energy.account"].load(
            [
                "partner_id",
                "room_ids",
                "supply_ids/meter_id",
                "supply_ids/tariff_id",
                "supply_ids/multiplier",
                "supply_ids/limit_addition",
                "supply_ids/opening_register",
            ],
            [["Family of Five", meter.property_id.display_name, "F2", "Tiers", "1", "100", "7"]],
        )
        self.assertFalse(result["messages"])
        account = self.env["energy.account"].browse(result["ids"])
        self.assertEqual(account.supply_ids.term_ids.limit_addition, 100)

    def test_meter_added_with_it(self):
        """Both meters share their tiers: the next period has the addition, once."""
        first, second = self.make_meter("F3"), self.make_meter("F4")
        account = self.open_account(first, tariff=self.tariff)
        account.supply_ids.term_ids._correct_addition(60)
        env = self.as_user(self.operator)
        action = account.with_env(env).action_add_meter()
        form = Form(env[action["res_model"]].with_context(**action["context"]))
        form.meter_id = second
        form.limit_addition = 100
        form.start_at = self.day(0, 1)
        self.set_clock(self.day(0, 1))
        form.save().action_confirm()
        self.reads(second, (31, "0"))
        self.reads(first, (31, "150"), (40, "400"))
        # March began with the first meter: 150 within 160; April with both: 200, and 50 above.
        self.assertEqual(self.due(account), {"2026-03": "75.00", "2026-04": "150.00"})

    def test_dated_change_of_an_open_account_is_shown_first(self):

        def check():
            meter = self.make_meter("F5")
            account = self.open_account(meter, tariff=self.tariff)
            supply = account.supply_ids
            self.reads(meter, (10, "250"))
            self.assertEqual(self.due(account), {"2026-03": "200.00"})
            # A household of five from the beginning: 100 more at 0.50 instead of 1.00.
            _operation, action = self.ask(supply, 100, START)
            consequence = self.as_user(self.manager)["energy.price.consequence"].browse(
                action["res_id"]
            )
            self.assertEqual((consequence.state, f"{consequence.amount:.2f}"), ("shown", "-50.00"))
            self.assertEqual(self.due(account), {"2026-03": "200.00"})
            self.assertFalse(supply.limit_addition)
            self.env.flush_all()
            consequence.action_confirm()
            self.settle()
            self.assertEqual(self.due(account), {"2026-03": "150.00"})
            self.assertEqual(supply.limit_addition, 100)
            # They move out on the 20th: April's limits are those of others again.
            self.reads(meter, (20, "260"))
            operation, action = self.ask(supply, 0, self.day(20))
            self.assertEqual(action["res_model"], "energy.operation")
            self.assertTrue(operation.line_ids.is_done)
            self.reads(meter, (31, "260"), (40, "400"))
            # March: 200 x 0.50 + 60; April: 100 x 0.50 + 40
            self.assertEqual(self.due(account), {"2026-03": "160.00", "2026-04": "90.00"})
            self.assertEqual(supply.term_ids.sorted("since").mapped("limit_addition"), [100, 0])

        self.holds(
            check,
            (EnergySupply._set_terms, "._add([(self.meter_id.id, since)])", "._add([])"),
            (EnergyPriceConsequence._suppose, 'if self.kind == "addition":', "if False:"),
            (
                EnergySupply._set_terms,
                'current.copy({"since": since, **values})',
                "current._correct_addition(values['limit_addition'])",
            ),
        )

    def test_who_may(self):
        meter = self.make_meter("F6")
        account = self.open_account(meter, tariff=self.tariff)
        self.set_clock(self.day(1))
        with self.refused(AccessError, "do not have the right"):
            self.ask(account.supply_ids, 100, self.day(1), self.operator)
        with self.refused(UserError, "zero or more"):
            self.ask(account.supply_ids, -1, self.day(1))
        with self.refused(AccessError):
            account.supply_ids.term_ids.with_user(self.manager).limit_addition = 100

    def test_terms_of_a_draft_change_one_by_one(self):
        draft = self.open_account(self.make_meter("F7"), tariff=self.tariff, activate=False)
        for name, value in (("multiplier", 40), ("limit_addition", 100), ("multiplier", 60)):
            draft.supply_ids.write({name: value})
        term = draft.supply_ids.term_ids
        self.assertEqual(
            (term.tariff_id, term.multiplier, term.limit_addition), (self.tariff, 60, 100)
        )
