from datetime import timedelta

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from .common import START, EnergyCase


class ChangeCase(EnergyCase):
    """Documents as the form makes them."""

    def change(self, account, kind, confirm=True, moment=None, registers=None, **values):
        """Write a document, and carry it out.

        :param dict registers: stated register by meter; the others stay as proposed
        """
        change = self.env["energy.account.change"].create(
            {
                "kind": kind,
                "account_id": account.id,
                "reason": "Asked for",
                **({"moment": moment} if moment else {}),
                **values,
            }
        )
        for line in change.line_ids:
            if registers and line.meter_id in registers:
                line.register = registers[line.meter_id]
        if confirm:
            change.action_confirm()
        return change


@tagged("post_install", "-at_install")
class TestAccountChange(ChangeCase):
    """Another name, title or capacity; suspending and resuming."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meter = cls.make_meter("L1")
        cls.account = cls.open_account(cls.meter, capacity=30)

    def test_rename_keeps_the_former_name(self):
        change = self.change(self.account, "rename", new_name="Dragon Noodles Ltd.")
        self.assertEqual(self.account.partner_id.name, "Dragon Noodles Ltd.")
        self.assertEqual(change.old_name, "Tenant L1")
        self.assertEqual(change.state, "done")
        self.assertEqual(change.user_id, self.env.user)
        self.assertIn(change.name, self.account.message_ids[0].body)
        other = self.env["res.partner"].create(
            {"name": "Dragon Noodles, accounts", "parent_id": self.account.partner_id.id}
        )
        former = self.account.partner_id
        change = self.change(self.account, "rename", new_partner_id=other.id)
        self.assertEqual(self.account.partner_id, other)
        self.assertEqual(change.old_partner_id, former)
        with self.refused(UserError, "Enter the new name"):
            self.change(self.account, "rename")

    def test_rename_makes_nobody_else_the_customer(self):
        self.account.partner_id.write({"is_company": True})
        stranger, theirs = self.env["res.partner"].create(
            [{"name": "Tiger Tea"}, {"name": "Hill's", "company_id": self.strange_company().id}]
        )
        with self.refused(UserError, "change of customer"):
            self.change(self.account, "rename", new_partner_id=stranger.id, new_name="Dragon")
        with self.refused(UserError, "company"):
            self.change(self.account, "rename", new_partner_id=theirs.id)
        with self.refused(UserError, "company"):
            self.account.partner_id = theirs
        self.assertEqual(stranger.name, "Tiger Tea")

    def test_rename_changes_no_contact_that_the_user_may_not(self):
        clerk = self.new_user("operator", "renaming")
        draft = self.change(self.account, "rename", confirm=False, new_name="Dragon")
        draft = draft.with_user(clerk)
        new_test_user(self.env, "boss", partner_id=self.account.partner_id.id)
        with self.refused(AccessError):
            draft.action_confirm()
        self.env["res.users"].search([("login", "=", "boss")]).partner_id = self.env[
            "res.partner"
        ].create({"name": "Boss"})
        draft.action_confirm()
        self.assertEqual(self.account.partner_id.name, "Dragon")

    def strange_company(self):
        return self.env["res.company"].create({"name": "Hill Estates"})

    def test_invoice_title_from_a_day_on(self):
        first, second = self.env["res.partner"].create([{"name": "Head"}, {"name": "Holding"}])
        self.set_clock(START + timedelta(days=10, hours=1))
        self.change(self.account, "billing", billing_partner_id=first.id)
        self.set_clock(START + timedelta(days=20, hours=1))
        change = self.change(self.account, "billing", billing_partner_id=second.id)
        self.assertEqual(change.old_billing_partner_id, first)
        self.assertEqual(self.account.billing_partner_id, second)
        day = self.site._today()
        titles = [
            self.account._invoice_title(day - timedelta(days=back)).name for back in (0, 1, 10, 11)
        ]
        self.assertEqual(titles, ["Holding", "Head", "Head", "Tenant L1"])
        with self.refused(UserError, "choose a later moment"):
            self.change(
                self.account,
                "billing",
                billing_partner_id=first.id,
                moment=START + timedelta(days=15),
            )

    def test_capacity_is_increased_reduced_and_restored(self):
        self.change(self.account, "capacity_increase", capacity=50)
        reduction = self.change(self.account, "capacity_reduction", capacity=20)
        self.assertEqual((reduction.old_capacity, reduction.capacity), (50, 20))
        self.assertEqual(self.account.capacity, 20)
        not_ended = [
            "!",
            ("restoration_ids.state", "=", "done"),
            ("kind", "=", "capacity_reduction"),
            ("account_id", "=", self.account.id),
        ]
        self.assertEqual(self.env["energy.account.change"].search(not_ended), reduction)
        # What came in between stays: 20 + 5, then back by the 30 that were given up.
        self.change(self.account, "capacity_increase", capacity=25)
        restoration = self.change(self.account, "capacity_restoration", reduction_id=reduction.id)
        self.assertEqual((restoration.old_capacity, restoration.capacity), (25, 55))
        self.assertEqual(self.account.capacity, 55)
        self.assertFalse(self.env["energy.account.change"].search(not_ended))
        with self.refused(UserError, "ended already"):
            self.change(self.account, "capacity_restoration", reduction_id=reduction.id)
        with self.refused(UserError, "more than the present"):
            self.change(self.account, "capacity_increase", capacity=55)
        for capacity in (0, 55, 60):
            with self.refused(UserError, "less than the present"):
                self.change(self.account, "capacity_reduction", capacity=capacity)
        with self.refused(UserError, "Choose the reduction"):
            self.change(self.account, "capacity_restoration")

    def test_opened_account_is_changed_by_documents_only(self):
        operator = self.env(
            user=self.env["res.users"].create(
                {
                    "name": "Operator",
                    "login": "life_operator",
                    "group_ids": [
                        Command.link(self.env.ref("prepaid_energy.group_energy_operator").id)
                    ],
                    "company_id": self.company.id,
                    "company_ids": [Command.set(self.company.ids)],
                }
            )
        )
        account = self.account.with_env(operator)
        partner = self.env["res.partner"].create({"name": "Other"})
        for values in (
            {"partner_id": partner.id},
            {"capacity": 99},
            {"billing_partner_id": partner.id},
        ):
            with self.refused(AccessError, "changed by a document"):
                account.write(values)
        # A form that sends the same values again is no change.
        account.write({"partner_id": account.partner_id.id, "capacity": 30})
        change = operator["energy.account.change"].create(
            {"kind": "capacity_increase", "account_id": account.id, "reason": "Oven"}
        )
        change.capacity = 40
        change.action_confirm()
        self.assertEqual(account.capacity, 40)
        self.assertEqual(change.user_id, operator.user)
        with self.refused(UserError, "stays as it is"):
            change.capacity = 45
        with self.refused(UserError, "never deleted"):
            change.unlink()
        with self.refused(AccessError, "never by hand"):
            change.state = "draft"
        with self.refused(AccessError, "never by hand"):
            operator["energy.account.change"].create(
                {
                    "kind": "suspend",
                    "account_id": account.id,
                    "reason": "x",
                    "state": "done",
                }
            )
        draft = self.change(self.account, "suspend", confirm=False)
        draft.action_cancel()
        with self.refused(UserError, "carried out or cancelled"):
            draft.action_confirm()
        draft.unlink()

    def test_moments_are_those_of_the_account(self):
        with self.refused(UserError, "lies in the future"):
            self.change(self.account, "suspend", moment=START + timedelta(hours=1))
        with self.refused(UserError, "lies before"):
            self.change(self.account, "suspend", moment=START - timedelta(hours=1))
        with self.refused(UserError, "in state"):
            self.change(self.account, "resume")

    def test_suspended_account_is_charged_and_not_cut(self):
        self.change(self.account, "suspend")
        self.assertEqual(self.account.state, "suspended")
        self.read(self.meter, START + timedelta(hours=1), "10")
        self.settle()
        self.assertEqual(self.account.balance, -6)
        self.assertEqual(self.commands(self.meter), [])
        self.top_up(self.account, 2)
        self.assertEqual(self.account.wallet_ids.balance, -4)
        self.change(self.account, "resume")
        self.assertEqual(self.account.state, "active")
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])

    def test_suspension_turns_off_and_resumption_returns_to_the_balance(self):
        self.top_up(self.account, 20)
        self.change(self.account, "suspend", is_supply_off=True)
        self.assertEqual(self.commands(self.meter), [(1, "supply", "off", "queued")])
        self.assertEqual(self.meter.control_id.mode, "forced_off")
        self.change(self.account, "resume", is_supply_back=True)
        self.assertEqual(self.meter.control_id.mode, "prepaid")
        self.assertEqual(
            self.commands(self.meter)[-1], (2, "supply", "on", "queued"), "20.00 is enough"
        )

    def test_form_asks_for_what_the_kind_needs(self):
        action = self.account.with_context(energy_change="close").action_change()
        form = Form(
            self.env["energy.account.change"].with_context(**action["context"]),
            "prepaid_energy.energy_account_change_view_form",
        )
        self.assertEqual(form.partner_id, self.account.partner_id)
        self.assertEqual(form.room_id, self.meter.property_id)
        form.reason = "Moves out"
        with form.line_ids.edit(0) as line:
            line.register = 12
        change = form.save()
        self.assertEqual(change.kind, "close")
        self.assertEqual(change.line_ids.meter_id, self.meter)
        self.assertEqual(change.line_ids.register, 12)
        form = Form(self.env["energy.account.change"])
        form.kind = "suspend"
        form.room_id = self.meter.property_id
        self.assertEqual(form.account_id, self.account)
        self.assertEqual(self.account.change_count, 1)
        self.assertEqual(
            self.env["energy.account.change"].search(self.account.action_open_changes()["domain"]),
            change,
        )
        self.assertEqual(change.action_open_account()["res_id"], self.account.id)
