from datetime import timedelta

from odoo.tests import tagged

from .common import START, EnergyCase


@tagged("post_install", "-at_install")
class TestRoomList(EnergyCase):
    def setUp(self):
        super().setUp()
        self.meter = self.make_meter("RL-1", driver="none")
        self.account = self.open_account(self.meter)
        self.viewer = self.new_user("viewer", "room_list_viewer")

    def room(self):
        self.env.invalidate_all()
        return self.env["energy.room"].with_user(self.viewer).browse(self.meter.id)

    def test_row_carries_tariff_balance_and_use_of_today(self):
        self.top_up(self.account, 10)
        self.read(self.meter, START + timedelta(hours=5), "12.5")
        self.settle()
        room = self.room()
        self.assertEqual(room.tariff_id, self.flat_tariff)
        self.assertEqual((room.use_today, f"{room.amount_today:.2f}"), (12.5, "7.50"))
        self.assertEqual(f"{room.balance:.2f}", "2.50")
        self.assertFalse(room.is_in_arrears)
        self.assertFalse(room.is_driven)

    def test_what_was_just_written_is_read(self):
        """Without a flush in between."""
        rooms = self.env["energy.room"]
        status = self.env["energy.meter.status"].search([("meter_id", "=", self.meter.id)])
        for record, values, name, expected in (
            (self.policy, {"overdraft": 60}, "is_in_arrears", False),
            (status, {"power": 1.5}, "power", 1.5),
            (status, {"supply_state": "off"}, "fee_state", "off"),
            (self.meter.control_id, {"mode": "held_on"}, "fee_state", "held_on"),
            (self.meter, {"active": False}, "active", False),
            (
                self.company,
                {"currency_id": self.env.ref("base.EUR").id},
                "currency_id.id",
                self.env.ref("base.EUR").id,
            ),
        ):
            self.env.flush_all()
            with self.subTest(values), self.env.cr.savepoint() as savepoint:
                rooms.browse(self.meter.id).mapped(name)
                record.sudo().write(values)
                rooms.invalidate_model(flush=False)
                self.assertEqual(rooms.browse(self.meter.id).mapped(name), [expected])
                savepoint.rollback()

    def test_row_in_arrears_is_found_whatever_its_mode(self):
        self.read(self.meter, START + timedelta(hours=5), "1")
        self.settle()
        self.meter.control_id.sudo()._order_by_person("hold", "test")
        room = self.room()
        self.assertEqual(room.fee_state, "held_on")
        self.assertIn(room, room.search([("is_in_arrears", "=", True)]))

    def test_every_group_by_of_the_search_view_can_be_read(self):
        rooms = self.room()
        for name in (
            "site_id",
            "building_id",
            "floor_id",
            "fee_state",
            "tariff_id",
            "partner_id",
            "commodity",
        ):
            with self.subTest(name):
                self.assertEqual(
                    sum(
                        count
                        for _value, count in rooms._read_group(
                            [("id", "=", rooms.id)], [name], ["__count"]
                        )
                    ),
                    1,
                )

    def test_telling_twice_in_a_transaction_sends_once(self):
        self.env.cr.precommit.run()
        sent = self.env["bus.bus"].sudo().search_count
        domain = [("message", "like", "prepaid_energy/rooms")]
        before = sent(domain)
        self.env["energy.room"]._tell()
        self.env["energy.room"]._tell()
        self.env.cr.precommit.run()
        self.assertEqual(sent(domain) - before, 1)
        channel = self.env["bus.bus"].sudo().search(domain, order="id desc", limit=1).channel
        self.assertIn('"res.groups"', channel)

    def test_unbooked_top_up_is_listed_until_its_payment_is_posted(self):
        entry = self.top_up(self.account, 10)
        entries = self.env["energy.wallet.entry"].with_user(self.viewer)
        waiting = [
            ("account_id", "=", self.account.id),
            ("kind", "=", "top_up"),
            ("is_booked", "=", False),
        ]
        self.assertEqual(entries.search(waiting).ids, entry.ids)
        self.env["energy.booking"]._book(entry)
        self.env.invalidate_all()
        self.assertFalse(entries.search(waiting))
        self.assertTrue(entries.browse(entry.id).is_booked)
        self.assertFalse(entries.browse(entry.id).payment_id)

    def test_short_name_of_a_room_is_its_building_and_name(self):
        building = self.env["energy.property"].create(
            {
                "name": "Tower",
                "kind": "building",
                "parent_id": self.site.id,
                "company_id": self.company.id,
            }
        )
        room = self.env["energy.property"].create(
            {"name": "12B", "kind": "room", "parent_id": building.id, "company_id": self.company.id}
        )
        self.assertEqual(room.display_name, "Harbour Gardens / Tower / 12B")
        self.assertEqual(room.with_context(energy_short_name=True).display_name, "Tower / 12B")
