"""The breaker on mass cut-offs (C13): a crowd waits for a person, nobody of it goes dark."""

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.energy_command_breaker import EnergyCommand as Held
from ..models.energy_command_delivery import EnergyCommand as Delivery
from ..models.energy_command_wish import EnergyCommand as Wish
from ..models.energy_cut_breaker import EnergyCutBreaker as Breaker
from ..models.energy_cut_breaker_release import EnergyCutBreaker as Release
from ..wizard.energy_operation_many import EnergyOperation as Many
from .switching_case import HOUR, MINUTE, START, SwitchingCase


@tagged("post_install", "-at_install")
class TestMassCut(SwitchingCase):
    """Sixteen rooms in two buildings: three may go dark in an hour, of the smaller building two."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.meters = cls.rooms(10)
        cls.small = cls.rooms(6, cls.west, prefix="S")

    def test_no_room_of_a_crowd_is_cut(self):
        def check():
            self.use(self.meters[:4], START + HOUR)
            # Two connectors hold two of the rooms each.
            self.assertEqual(self.carry_out(self.meters[:2]), [])
            self.assertEqual(self.carry_out(self.meters[2:4]), [])
            self.assertEqual(self.waits(self.meters[:4]), ["breaker"] * 4)
            stop = self.stops()
            self.assertEqual(len(stop), 1)
            figures = (stop.scope, stop.limit_count, stop.cut_count, stop.waiting_count)
            self.assertEqual(figures, ("site", 3, 0, 4))
            self.assertEqual((stop.service_count, stop.held_count), (16, 4))

        self.holds(
            check,
            (Held._hold_back, "if cuts:", "if not cuts:"),
            (Held._is_queued_cut, 'order["cause"] == "arrears"', 'order["cause"] == "policy"'),
            (
                Breaker._cuts,
                "WHERE site_id = %(site)s AND cause = 'arrears' AND state = 'queued'",
                "WHERE site_id = %(site)s AND cause = 'arrears' AND state = 'sent'",
            ),
            (Breaker._add, 'commands._let_wait("breaker")', "pass"),
        )

    def test_three_rooms_may_be_cut(self):
        self.use(self.meters[:3], START + HOUR)
        self.assertEqual(len(self.carry_out(self.meters)), 3)
        self.assertFalse(self.stops())
        # Half an hour later the fourth waits, and later still it may go.
        self.use(self.meters[3], START + HOUR + 30 * MINUTE)
        self.assertEqual(self.carry_out(self.meters), [])
        self.assertEqual((self.stops().cut_count, self.stops().waiting_count), (3, 1))

    def test_an_hour_later_others_may_be_cut(self):
        self.use(self.meters[:2] | self.small[0], START + HOUR)
        self.assertEqual(len(self.carry_out(self.meters | self.small)), 3)
        self.use(self.meters[2], START + 2 * HOUR + MINUTE)
        self.assertEqual(self.carry_out(self.meters), ["R2"])

    def test_what_was_written_and_not_confirmed_counts(self):
        self.use(self.meters[:3], START + HOUR)
        for order in self.orders._take(self.meters.ids):
            command = self.orders.browse(order["id"])
            command._sent("01 10")
            if command.meter_id == self.meters[0]:
                command._fail("no answer")
        self.use(self.meters[3], START + HOUR + MINUTE)
        self.assertNotIn(("R3", "off"), self.take(self.meters))
        self.assertEqual(self.stops().cut_count, 3)

    def test_a_third_of_a_building_a_day(self):
        for hours, names in ((1, ["S0"]), (3, ["S1"]), (5, []), (7, [])):
            self.use(self.small[hours // 2], START + hours * HOUR)
            self.assertEqual(self.carry_out(self.small), names)
        stop = self.stops()
        figures = (stop.scope, stop.building_id, stop.limit_count, stop.service_count)
        self.assertEqual(figures, ("building", self.west, 2, 6))
        self.assertEqual(stop.held_count, 2)
        # The other building goes on.
        self.use(self.meters[0], START + 8 * HOUR)
        self.assertEqual(self.carry_out(self.meters), ["R0"])

    def test_limits_are_the_sites(self):
        self.site.write({"cut_rooms_hour": 5, "cut_one_in_day": 2})
        self.use(self.meters[:5], START + HOUR)
        self.assertEqual(len(self.carry_out(self.meters)), 5)
        self.assertFalse(self.stops())

    def test_supply_on_is_never_stopped(self):
        def check():
            self.use(self.meters[:5], START + HOUR)
            self.meters[9].control_id._order_by_person("hold", "Hospital bed")
            self.assertEqual(self.carry_out(self.meters), ["R9"])
            self.top_up(self.meters[0].account_id, 50)
            self.assertEqual(self.carry_out(self.meters), ["R0"])
            self.meters[8].control_id._order_by_person("off", "Smells of burning")
            self.assertEqual(self.carry_out(self.meters), ["R8"])

        self.holds(
            check,
            (Held._hold_back, 'if order["id"] not in held', "if not held"),
        )

    def test_who_pays_drops_out_and_who_comes_later_joins(self):
        self.use(self.meters[:4], START + HOUR)
        self.take(self.meters)
        self.use(self.meters[4], START + HOUR + MINUTE)
        self.take(self.meters)
        stop = self.stops()
        self.assertEqual((stop.held_count, stop.waiting_count), (5, 4))
        self.top_up(self.meters[0].account_id, 50)
        self.env.invalidate_all()
        self.assertEqual(stop.held_count, 4)
        self.assertEqual(stop.line_ids.sorted("id")[0].outcome, "dropped")
        self.take(self.meters)
        self.assertEqual(len(self.stops()), 1)

    def test_what_need_not_be_cut_makes_no_crowd(self):
        def check():
            self.use(self.meters[:4], START + HOUR)
            self.meters[0].is_protected = True
            self.assertEqual(self.carry_out(self.meters), ["R1", "R2", "R3"])
            self.assertEqual(self.last(self.meters[0]).state, "overtaken")
            self.assertFalse(self.stops())

        self.holds(check, (Breaker._drop, "if why:", "if False:"))

    def test_order_in_hand_waits_too(self):
        """Taken before the crowd came, and not written yet."""

        def check():
            self.use(self.meters[0], START + HOUR)
            [order] = self.orders._take(self.meters.ids)
            self.use(self.meters[1:5], START + HOUR + MINUTE)
            self.take(self.meters[1:])
            command = self.orders.browse(order["id"])
            self.assertIn("Release of mass cut-offs", command._check())
            self.assertEqual(command.state, "queued")
            # Its meter did not answer: it waits all the same.
            command._retry("no answer", counts=False)
            self.look_again()
            self.assertEqual(self.take(self.meters), [])
            self.assertEqual(self.stops().held_count, 5)

        self.holds(
            check,
            (Delivery._check, "elif self.waits_for in self._until_released():", "elif False:"),
            (Delivery._set, "THEN waits_for END", "THEN NULL END"),
        )

    def test_released_list_is_cut_and_a_new_crowd_waits_again(self):
        def check():
            self.use(self.meters[:7], START + HOUR)
            self.take(self.meters)
            stop = self.stops()
            self.set_clock(START + HOUR + 10 * MINUTE)
            self.decide(stop)
            self.assertEqual(stop.state, "released")
            self.assertEqual(stop.user_id, self.manager)
            self.assertEqual(stop.reason, "Looked through")
            self.assertEqual(len(self.carry_out(self.meters)), 5)
            self.look_again()
            self.assertEqual(len(self.carry_out(self.meters)), 2)
            # What a person released counts for no limit, and lets nobody else through.
            self.use(self.small[:2], START + HOUR + 20 * MINUTE)
            self.assertEqual(self.carry_out(self.small), ["S0", "S1"])
            self.use(self.meters[7:9], START + HOUR + 21 * MINUTE)
            self.assertEqual(self.carry_out(self.meters), [])
            self.assertEqual(self.stops().mapped("state"), ["tripped", "released"])

        self.holds(
            check,
            (Wish._release, "(self - old)._no_longer_waits()", "pass"),
            (
                Breaker._cuts,
                "WHERE l.command_id = c.id)",
                "WHERE l.command_id = c.id AND c.state = 'queued')",
            ),
            (Release._decide_list, '"state": decision', '"state": "tripped"'),
        )

    def test_only_what_was_shown_is_released(self):
        def check():
            self.use(self.meters[:4], START + HOUR)
            self.take(self.meters)
            stop = self.stops().with_user(self.manager)
            release = self.env["energy.cut.release"].browse(stop.action_release()["res_id"])
            self.use(self.meters[4], START + HOUR + MINUTE)
            self.take(self.meters)
            release = release.with_user(self.manager)
            release.reason = "Looked through"
            release.line_ids -= release.line_ids[0]
            release.action_confirm()
            self.env.invalidate_all()
            self.assertEqual(self.carry_out(self.meters), ["R1", "R2", "R3"])
            self.assertEqual((stop.state, stop.held_count), ("tripped", 2))
            self.decide(self.stops())
            self.assertEqual(self.carry_out(self.meters), ["R0", "R4"])

        self.holds(
            check,
            (Release._decide_list, "held = lines.filtered", "held = breaker.line_ids.filtered"),
        )

    def test_discarded_list_is_decided_anew(self):
        self.use(self.meters[:4], START + HOUR)
        self.take(self.meters)
        stop = self.stops()
        self.decide(stop, "discarded", reason="Wrong price")
        self.assertEqual(stop.state, "discarded")
        self.assertEqual(self.carry_out(self.meters), [])
        command = self.last(self.meters[0])
        self.assertEqual((command.state, command.error), ("overtaken", "Discarded: Wrong price"))
        # Nothing was put right: the same crowd waits again.
        self.use(self.meters[:4], START + 2 * HOUR, "11")
        self.assertEqual(self.carry_out(self.meters), [])
        self.assertEqual(self.stops().mapped("state"), ["tripped", "discarded"])

    def test_held_orders_do_not_expire_and_old_ones_are_decided_anew(self):
        """C8: what waited longer than a cut lives is not carried out blindly."""

        def check():
            self.use(self.meters[:5], START + HOUR)
            self.take(self.meters)
            self.set_clock(START + 30 * HOUR)
            self.assertEqual(self.take(self.meters), [])
            self.assertEqual(self.waits(self.meters[:5]), ["breaker"] * 5)
            # Of five, one is protected meanwhile, one was not read for a day.
            self.meters[0].is_protected = True
            self.use(self.meters[:4], START + 30 * HOUR, "11")
            self.decide(self.stops())
            self.assertEqual(self.carry_out(self.meters), ["R1", "R2", "R3"])
            old = self.orders.search([("meter_id", "=", self.meters[1].id)], order="number")
            self.assertEqual(old.mapped("state"), ["overtaken", "confirmed"])
            self.assertIn("decided anew", old[0].error)
            self.assertEqual(old[1].user_id, self.manager)
            self.assertEqual(self.meters[0].control_id.decision, "protected")
            self.assertEqual(self.meters[4].control_id.decision, "stale")
            self.assertEqual(len(self.stops()), 1)

        self.holds(
            check,
            (
                Delivery._take,
                "c.waits_for NOT IN %s",
                "(c.waits_for IN %s) IS NOT NULL",
            ),
            (
                Wish._release,
                "command.expires_at and command.expires_at <= now",
                "False",
            ),
        )

    def test_who_may_release_and_how(self):
        self.use(self.meters[:4], START + HOUR)
        self.take(self.meters)
        stop = self.stops()
        for role in ("viewer", "cashier", "operator", "engineer", "finance"):
            user = self.make_user(role)
            with self.assertRaises(AccessError):
                stop.with_user(user).action_release()
            with self.assertRaises(AccessError):
                stop.with_user(user)._decide_list(stop.line_ids, "released", "Because")
        other = self.env["energy.property"].create(
            {"name": "Other", "kind": "site", "tz": "Asia/Shanghai", "company_id": self.company.id}
        )
        bound = self.make_user("manager", other)
        with mute_logger("odoo.addons.base.models.ir_rule"), self.assertRaises(AccessError):
            stop.with_user(bound).action_release()
        with self.assertRaises(UserError):
            self.decide(stop, reason=" ")
        with self.assertRaises(AccessError):
            stop.with_user(self.manager).write({"state": "released"})
        self.assertEqual(self.carry_out(self.meters), [])
        self.decide(stop)
        with self.assertRaises(UserError):
            stop.with_user(self.manager).action_release()

    def test_managers_are_told_once(self):
        other = self.env["energy.property"].create(
            {"name": "Other", "kind": "site", "tz": "Asia/Shanghai", "company_id": self.company.id}
        )
        bound = self.make_user("manager", other)
        self.use(self.meters[:4], START + HOUR)
        for _turn in range(3):
            self.take(self.meters)
        stop = self.stops()
        told = stop.message_ids.filtered("partner_ids")
        self.assertEqual(len(told), 1)
        self.assertIn(self.manager.partner_id, told.partner_ids)
        self.assertNotIn(bound.partner_id, told.partner_ids)
        self.assertIn("4 rooms of Harbour Gardens", told.body)
        self.decide(stop)
        self.assertIn("Released 4 cuts: Looked through", stop.message_ids[0].body)

    def test_list_says_how_the_amounts_came_about(self):
        """A misplaced decimal point: 0.60 until the day before, 6.00 from then on."""
        for meter in self.meters:
            self.top_up(meter.account_id, 30)
        self.use(self.meters, START + 24 * HOUR, "10")
        self.add_version(self.flat_tariff, {"flat": ["6.000000"]}, date_from="2026-03-02")
        self.use(self.meters[:6], START + 30 * HOUR, "20")
        self.assertEqual(self.carry_out(self.meters), [])
        stop = self.stops()
        self.assertEqual(stop.held_count, 6)
        line = stop.line_ids.sorted("id")[0]
        self.assertEqual((line.price_before, line.price, line.is_steep), (0.6, 6.0, True))
        # 1.00 and 30.00 less 10 × 0.60 and 10 × 6.00
        self.assertEqual((line.balance, line.balance_now), (-35, -35))
        self.assertEqual((line.quantity, line.amount), (20, 66))
        self.assertEqual(line.version_id.date_from.isoformat(), "2026-03-02")
        self.assertEqual(line.account_id, self.meters[0].account_id)
        self.assertIn("35.01 more brings supply back", line.why)
        self.assertIn("6 of 6 are priced by “Flat”", stop.hint)
        self.assertIn("6 of 6 a unit costs at least half as much again", stop.hint)

    def test_room_with_two_meters_is_one_room(self):
        main, valves = self.env["energy.meter"], self.env["energy.meter"]
        for number in range(3):
            meter, other = self.make_meter(f"M{number}"), self.make_meter(f"N{number}")
            meter.property_id.parent_id = self.east
            other.property_id = meter.property_id
            self.open_account(meter, other)
            main, valves = main | meter, valves | other
        both = main | valves
        self.use(both, START + HOUR)
        self.assertEqual(len(self.carry_out(both)), 5)
        self.look_again()
        self.assertEqual(len(self.carry_out(both)), 1)
        self.assertFalse(self.stops())

    def test_settings_are_the_managers(self):
        operator, manager = self.make_user("operator"), self.manager
        with self.assertRaises(AccessError):
            self.site.with_user(operator).cut_rooms_hour = 500
        self.site.with_user(manager).cut_rooms_hour = 4
        made = (
            self.env["energy.property"]
            .with_user(operator)
            .create({"name": "New", "kind": "site", "company_id": self.company.id})
        )
        self.assertEqual(made.sudo().cut_rooms_hour, 3)
        self.assertEqual(made.sudo().cut_percent_hour, 2)
        self.assertEqual(made.sudo().cut_one_in_day, 3)

    def test_many_supplies_off_by_a_person_are_confirmed_twice(self):
        """X6: a stolen session darkens no building with one click, nor with many small ones."""

        def check():
            self.site.off_rooms_confirmed = 3
            operator = self.make_user("operator").with_company(self.company)
            wizard = self.env["energy.operation"].with_user(operator)

            def off(meters, **values):
                action = wizard._open(meters.with_user(operator), "off")
                operation = wizard.browse(action["res_id"])
                operation.write(values)
                operation.action_confirm()
                return operation

            off(self.meters[:3])
            with self.assertRaisesRegex(UserError, "1 rooms go dark"), self.env.cr.savepoint():
                off(self.meters[3])
            self.set_clock(START + 2 * HOUR)
            off(self.meters[3])
            for typed in (0, 3, 5):
                with self.assertRaisesRegex(UserError, "4 rooms"), self.env.cr.savepoint():
                    off(self.meters[4:8], typed_count=typed)
            self.assertFalse(self.last(self.meters[4]))
            self.assertTrue(off(self.meters[4:8], typed_count=4).is_many)
            self.assertEqual(self.last(self.meters[7]).value, "off")

        self.holds(
            check,
            (Many._is_many, "len(before | set(", "len(set() | set("),
            (Many._check_ready, "if self.is_many and", "if False and"),
            (Many._check_ready, "self.typed_count != self.room_count", "not self.typed_count"),
        )

    def test_crowd_does_not_wait_for_a_mail_server(self):
        self.use(self.meters[:4], START + HOUR)
        before = self.env["mail.mail"].search_count([("state", "!=", "outgoing")])
        self.take(self.meters)
        sent = self.env["mail.mail"].search_count([("state", "!=", "outgoing")])
        self.assertEqual(sent, before)

    def test_no_question_is_asked_where_nothing_is_cut(self):
        self.env.flush_all()
        meters = self.meters.ids
        with self.assertQueryCount(1):
            self.assertEqual(self.orders._take(meters), [])
