"""The pace of switching (C10, C14): least time before a cut, turns among many."""

from odoo.tests import tagged

from ..models.energy_command_pace import EnergyCommand as Pace
from .switching_case import HOUR, MINUTE, START, SwitchingCase


@tagged("post_install", "-at_install")
class TestPace(SwitchingCase):
    def cut_two_minutes_after_supply_came_on(self, name):
        meter = self.rooms(1, prefix=name)
        self.set_clock(START + HOUR)
        self.order_on(meter, "payment")
        self.assertEqual(self.carry_out(meter), [f"{name}0"])
        self.use(meter, START + HOUR + 2 * MINUTE)
        return meter

    def test_cut_waits_until_supply_was_on_for_a_while(self):
        def check():
            meter = self.cut_two_minutes_after_supply_came_on("G")
            self.assertEqual(self.take(meter), [])
            self.assertEqual(self.waits(meter), ["gap"])
            self.set_clock(START + HOUR + 4 * MINUTE)
            self.look_again()
            self.assertEqual(self.take(meter), [])
            self.set_clock(START + HOUR + 5 * MINUTE)
            self.look_again()
            self.assertEqual(self.carry_out(meter), ["G0"])
            self.assertFalse(self.last(meter).waits_for)
            meter.name = meter.property_id.name = f"G of {meter.id}"

        self.holds(
            check,
            (Pace._wait_for_gap, "c.state = 'confirmed'", "c.state = 'failed'"),
            (
                Pace._wait_for_gap,
                'self.browse(order)._let_wait("gap"',
                'self.browse()._let_wait("gap"',
            ),
            (Pace._hold_back, "self._wait_for_gap(cuts) if cuts else set()", "set()"),
        )

    def test_supply_on_and_persons_never_wait_for_the_gap(self):
        meter = self.cut_two_minutes_after_supply_came_on("G")
        self.assertEqual(self.take(meter), [])
        self.top_up(meter.account_id, 50)
        self.assertEqual(self.carry_out(meter), ["G0"])
        self.assertEqual(self.last(meter).cause, "payment")
        meter.control_id._order_by_person("off", "Smells of burning")
        self.assertEqual(self.carry_out(meter), ["G0"])

    def test_gap_is_the_sites(self):
        self.site.switching_gap = 0
        meter = self.cut_two_minutes_after_supply_came_on("G")
        self.assertEqual(self.take(meter), [("G0", "off")])

    def test_wait_ends_by_the_clock_that_runs(self):
        self.set_clock(START)
        self.assertEqual(self.orders._real_seconds(120), 2)
        self.env["energy.clock"]._set(None, 60)
        self.assertEqual(self.orders._real_seconds(120), 2)
        self.assertEqual(self.orders._real_seconds(36000), 60)

    def test_balance_that_flaps_around_zero_stays_on(self):
        """Cut and paid three times in 36 minutes: the fourth cut waits for the hour to end."""
        meter = self.rooms(1, prefix="F", deposit=0)
        moment, total = START + HOUR, 0
        for _turn in range(3):
            moment, total = moment + 6 * MINUTE, total + 1
            self.use(meter, moment, str(total))
            self.assertEqual(self.carry_out(meter), ["F0"])
            moment += 6 * MINUTE
            self.set_clock(moment)
            self.top_up(meter.account_id, 0.61, f"flap/{total}")
            self.assertEqual(self.carry_out(meter), ["F0"])
        findings = self.env["energy.meter.finding"].search([("meter_id", "=", meter.id)])
        self.assertFalse(findings)
        moment += 10 * MINUTE
        self.use(meter, moment, "9")
        self.assertEqual(self.take(meter), [])
        self.assertEqual(self.waits(meter), ["gap"])
        findings = self.env["energy.meter.finding"].search([("meter_id", "=", meter.id)])
        self.assertEqual(findings.kind, "flapping")
        self.assertIn("switched 6 times", findings.details)
        # The first of the six was at 1:06.
        self.set_clock(START + 2 * HOUR + 5 * MINUTE)
        self.look_again()
        self.assertEqual(self.take(meter), [])
        self.set_clock(START + 2 * HOUR + 6 * MINUTE)
        self.look_again()
        self.assertEqual(self.carry_out(meter), ["F0"])
        self.assertEqual(findings.state, "closed")

    def test_many_come_on_in_turns(self):
        def check():
            meters = self.rooms(13, prefix="T")
            others = self.rooms(2, self.west, prefix="W")
            for meter in meters | others:
                self.order_on(meter)
            self.assertEqual(len(self.take(meters[8:])), 0)
            self.assertEqual(len(self.take(meters | others)), 7)
            waits = {meter.name: self.last(meter).waits_for for meter in meters if self.last(meter)}
            self.assertEqual(
                [name for name, waits_for in waits.items() if waits_for],
                [f"T{number}" for number in range(5, 13)],
            )
            self.assertEqual(self.seconds(meters[5:]), [1] * 5 + [2] * 3)
            # One that comes later takes what is free; a payment is not delayed.
            late = self.rooms(2, prefix="L")
            self.order_on(late[0])
            self.order_on(late[1], "payment")
            self.assertEqual(self.take(late), [("L1", "on")])
            self.assertEqual(self.seconds(late[0]), [2])
            self.look_again()
            self.assertEqual(len(self.take(meters[5:] | late[0])), 9)
            for meter in meters | others | late:
                meter.name = meter.property_id.name = f"T of {meter.id}"

        self.holds(
            check,
            (Pace._hold_back, "waiting |= self._wait_for_turn(", "len("),
            (Pace._wait_for_turn, "if given.get(order):", "if False:"),
            (Pace._wait_for_turn, "c.cause = 'payment',", "FALSE,"),
            (
                Pace._wait_for_turn,
                "DISTINCT COALESCE(room.building_id, room.site_id)",
                "DISTINCT COALESCE(room.site_id)",
            ),
        )

    def seconds(self, meters):
        """Return after how many seconds, rounded up, each has its turn."""
        self.env.cr.execute(
            "SELECT ceil(EXTRACT(epoch FROM not_before - energy_real_now()))::int"
            "  FROM energy_command WHERE meter_id = ANY(%s) ORDER BY id",
            [meters.ids],
        )
        return [row[0] for row in self.env.cr.fetchall()]

    def test_payment_alone_asks_nothing_more(self):
        meters = self.rooms(1, prefix="P")
        self.order_on(meters, "payment")
        self.env.flush_all()
        with self.assertQueryCount(5):
            self.assertEqual(len(self.orders._take(meters.ids)), 1)
        self.assertEqual(self.waits(meters), [False])

    def test_offline_meters_keep_nobody_waiting(self):
        dead, alive = self.rooms(20, prefix="D"), self.rooms(1, prefix="A")
        self.env["energy.meter.status"]._report(
            [{"meter_id": meter.id, "is_online": False} for meter in dead]
        )
        for meter in dead | alive:
            self.order_on(meter)
        self.assertEqual(self.take(alive), [("A0", "on")])
