from datetime import timedelta

import psycopg2
from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import START, EnergyCase

DAY = timedelta(days=1)


@tagged("post_install", "-at_install")
class TestOccupancy(EnergyCase):
    def setUp(self):
        super().setUp()
        self.meter = self.make_meter("OC1")
        self.room = self.meter.property_id

    def second_meter(self, name="OC2", commodity="electricity"):
        meter = self.make_meter(name, commodity)
        meter.property_id = self.room
        return meter

    def present(self):
        self.env.invalidate_all()
        return {
            occupancy.account_id: occupancy.role
            for occupancy in self.room.occupancy_ids
            if not occupancy.end_at
        }

    def test_two_mains_of_a_room_are_refused_with_the_others_account(self):
        account = self.open_account(self.meter)
        other = self.open_account(self.second_meter(), activate=False)
        with self.refused(UserError, rf"{account.name}.* is the main occupant"):
            other.action_activate()

    def test_co_tenant_and_owner_stand_beside_the_main_occupant(self):
        main = self.open_account(self.meter)
        mate = self.open_account(self.second_meter(), occupancy_role="co_tenant")
        owner = self.open_account(self.second_meter("OC3"), occupancy_role="owner")
        self.assertEqual(self.present(), {main: "main", mate: "co_tenant", owner: "owner"})
        self.assertEqual(self.room._main_occupancy().account_id, main)

    def test_second_account_of_the_same_customer_stands_beside_his_first(self):
        tariff = self.make_tariff("Water", {"flat": ["5"]}, commodity="water")
        main = self.open_account(self.meter)
        water = self.open_account(
            self.second_meter("OC4", "water"), tariff=tariff, partner_id=main.partner_id.id
        )
        self.assertEqual(self.present(), {main: "main", water: "co_tenant"})

    def test_room_goes_on_to_the_next_occupant_when_the_first_leaves(self):
        first = self.open_account(self.meter)
        self.set_clock(START + DAY)
        first._end_occupancies(START + DAY)
        second = self.open_account(self.second_meter(), start=START + DAY)
        self.assertEqual(self.present(), {second: "main"})
        self.assertEqual(self.room._main_occupancy(START).account_id, first)
        with self.refused(UserError, "is the main occupant"):
            first._begin_occupancies(START + DAY)

    def test_account_opened_into_the_time_of_an_earlier_main_is_refused(self):
        first = self.open_account(self.meter)
        self.set_clock(START + DAY)
        first._end_occupancies(START + DAY)
        second = self.open_account(self.second_meter(), start=START, activate=False)
        with self.refused(UserError, "is the main occupant"):
            second.action_activate()

    def test_leaving_at_the_moment_of_arrival_leaves_nothing(self):
        account = self.open_account(self.meter)
        account._end_occupancies(START)
        self.assertFalse(account.occupancy_ids)

    def test_rooms_changed_on_an_open_account_are_followed(self):
        account = self.open_account(self.meter)
        store = self.make_meter("OC5").property_id
        self.set_clock(START + DAY)
        account.room_ids = [Command.set(store.ids)]
        self.assertEqual(
            [(o.room_id, o.start_at, o.end_at) for o in account.occupancy_ids.sorted("id")],
            [(self.room, START, START + DAY), (store, START + DAY, False)],
        )

    def test_database_refuses_a_second_main(self):
        account = self.open_account(self.meter)
        other = self.open_account(self.second_meter(), occupancy_role="owner")
        with self.refused(psycopg2.IntegrityError):
            other.occupancy_ids.sudo().role = "main"
            self.env.flush_all()
        self.assertEqual(self.room._main_occupancy().account_id, account)


@tagged("post_install", "-at_install")
class TestSelection(EnergyCase):
    """The choice of an account by room, customer or account, on the mixin itself.

    An abstract model's computed fields follow nothing by themselves, so the tests compute them.
    """

    def setUp(self):
        super().setUp()
        self.first, self.second = self.make_meter("SE1"), self.make_meter("SE2")
        self.account = self.open_account(self.first)
        self.other = self.open_account(self.second)

    def choice(self, **values):
        return self.env["energy.account.selection"].new(values)

    def test_account_brings_customer_and_room(self):
        choice = self.choice(account_id=self.account.id)
        self.assertEqual(choice.partner_id, self.account.partner_id)
        self.assertEqual(choice.room_id._origin, self.first.property_id)

    def test_room_brings_account_and_customer(self):
        choice = self.choice(account_id=self.account.id)
        choice.room_id = self.second.property_id
        choice._onchange_room_id()
        choice._compute_room_and_customer()
        self.assertEqual(choice.account_id._origin, self.other)
        self.assertEqual(choice.partner_id._origin, self.other.partner_id)
        self.assertEqual(choice.room_id._origin, self.second.property_id)

    def test_main_occupants_account_comes_first(self):
        meter = self.make_meter("SE3")
        meter.property_id = self.first.property_id
        mate = self.open_account(meter, occupancy_role="co_tenant")
        self.assertGreater(mate.name, self.account.name)
        choice = self.choice()
        choice.room_id = self.first.property_id
        choice._onchange_room_id()
        choice._compute_room_and_customer()
        self.assertEqual(choice.account_id._origin, self.account)

    def test_customer_brings_account_and_room(self):
        choice = self.choice()
        choice.partner_id = self.other.partner_id
        choice._onchange_partner_id()
        choice._compute_room_and_customer()
        self.assertEqual(choice.account_id._origin, self.other)
        self.assertEqual(choice.room_id._origin, self.second.property_id)

    def test_customer_of_several_accounts_leaves_the_choice(self):
        meter = self.make_meter("SE4")
        self.open_account(meter, partner_id=self.other.partner_id.id)
        choice = self.choice(account_id=self.account.id)
        choice.partner_id = self.other.partner_id
        choice._onchange_partner_id()
        choice._compute_room_and_customer()
        self.assertFalse(choice.account_id)
        self.assertFalse(choice.room_id)
        choice.room_id = meter.property_id
        choice._onchange_room_id()
        choice._compute_room_and_customer()
        self.assertEqual(choice.account_id.supply_ids.meter_id._origin, meter)

    def test_empty_room_brings_nobody(self):
        choice = self.choice(account_id=self.account.id)
        choice.room_id = self.make_meter("SE5").property_id
        choice._onchange_room_id()
        choice._compute_room_and_customer()
        self.assertFalse(choice.account_id)
        self.assertFalse(choice.partner_id)
