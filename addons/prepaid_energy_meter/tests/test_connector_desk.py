import asyncio
from datetime import datetime
from decimal import Decimal

from odoo.tests import BaseCase, tagged

from ..connector import outbox
from ..connector.orders import OrderDesk
from ..modbus.driver import Outcome, Snapshot


class FakeDatabase:
    """Records what it is asked, and serves orders from a list."""

    def __init__(self):
        self.outbox, self.calls = [], []

    async def run(self, function, *args, around_commit=None):
        if function is outbox.take_orders:
            return [order for order in self.outbox if order["meter_id"] in args[0]]
        self.calls.append((function.__name__, *args))
        return ""


class FakeBus:
    def __init__(self):
        self.orders, self.reads = [], []

    def give_order(self, order):
        self.orders.append(order)

    def ask_read(self, meter, urgent=False):
        self.reads.append((meter, urgent))


def order(key, meter, kind="supply", value="off", state="queued", tries=0):
    return {
        "id": key,
        "meter_id": meter,
        "number": key,
        "kind": kind,
        "value": value,
        "mode": "prepaid",
        "cause": "person",
        "tries": tries,
        "state": state,
        "last_total": Decimal(5),
        "most_total": Decimal(9),
    }


@tagged("post_install", "-at_install")
class TestConnectorDesk(BaseCase):
    def run_desk(self, test, *orders):
        async def whole():
            self.database, self.bus = FakeDatabase(), FakeBus()
            self.database.outbox = list(orders)
            self.desk = OrderDesk(
                self.database,
                lambda meter: self.bus if meter < 9 else None,
                lambda: [1, 2],
                None,
                "here",
            )
            task = asyncio.create_task(self.desk.run())
            await self.settled()
            try:
                await test()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(asyncio.wait_for(whole(), 10))

    async def settled(self):
        """Let everything that can go on now go on."""
        for _turn in range(30):
            await asyncio.sleep(0)

    def given(self):
        return [(o.key, o.wanted, o.maybe_sent) for o in self.bus.orders]

    def test_order_is_given_once_while_it_is_under_way(self):
        async def test():
            self.desk.announce(1)
            await self.settled()
            self.assertEqual(self.given(), [(70, "off", False)])
            [given] = self.bus.orders
            self.assertEqual((given.last_total, given.most_total), (Decimal(5), Decimal(9)))

        self.run_desk(test, order(70, 1))

    def test_order_sent_or_tried_before_is_looked_at_first(self):
        async def test():
            self.assertEqual(self.given(), [(70, "off", True), (71, "off", True)])

        self.run_desk(test, order(70, 1, state="sent"), order(71, 2, tries=1))

    def test_confirmed_order_is_noted_and_the_next_one_taken(self):
        async def test():
            self.database.outbox = [order(72, 1, value="on")]
            self.desk.finished(self.bus.orders[0], Outcome("confirmed", "off", "req", "res"))
            await self.settled()
            self.assertEqual(self.database.calls[0][:2], ("confirm", 70))
            self.assertEqual(self.given(), [(70, "off", False), (72, "on", False)])

        self.run_desk(test, order(70, 1))

    def test_ordered_reading_keeps_no_supply_order_waiting(self):
        async def test():
            self.assertEqual(self.bus.reads, [(1, True)])
            self.database.outbox = [order(71, 1)]
            self.desk.announce(1)
            await self.settled()
            self.assertEqual(self.given(), [(71, "off", False)])

        self.run_desk(test, order(70, 1, kind="read", value=None))

    def test_ordered_reading_is_confirmed_when_it_is_stored(self):
        async def test():
            self.desk.announce(1)
            await self.settled()
            self.assertEqual(self.bus.reads, [(1, True)], "asked for once")
            self.desk.stored(
                [Snapshot(1, datetime(2026, 3, 1), Decimal(7), raw={"03:0000": b"\x00\x01"})]
            )
            await self.settled()
            self.assertEqual(self.database.calls, [("confirm_read", 70, "03:0000 0001", "here")])

        self.run_desk(test, order(70, 1, kind="read", value=None))

    def test_order_of_a_silent_meter_waits_and_is_not_counted(self):
        async def test():
            silent = Outcome("untouched", error="no answer")
            self.desk.finished(self.bus.orders[0], silent)
            await self.settled()
            self.assertEqual(self.database.calls, [("put_off", 70, silent, "here")])
            self.desk.announce()
            await self.settled()
            self.assertEqual(len(self.bus.orders), 1, "it waits")
            self.desk.answered(1)
            await self.settled()
            self.assertEqual(len(self.bus.orders), 2, "until the meter answers")

        self.run_desk(test, order(70, 1))

    def test_new_order_for_a_silent_meter_is_tried_at_once(self):
        async def test():
            self.desk.finished(self.bus.orders[0], Outcome("untouched", error="no answer"))
            await self.settled()
            self.database.outbox = [order(71, 1, value="on")]
            self.desk.announce(1)
            await self.settled()
            self.assertEqual(self.given()[-1], (71, "on", False))

        self.run_desk(test, order(70, 1))

    def test_unknown_end_counts_and_refusal_is_final(self):
        async def test():
            first, second = self.bus.orders
            self.database.outbox = []
            shows_on = Outcome("unknown", "on", "req", "res", "shows on")
            refused = Outcome("failed", error="exception 02")
            self.desk.finished(first, shows_on)
            self.desk.finished(second, refused)
            await self.settled()
            self.assertEqual(
                self.database.calls,
                [("put_off", 70, shows_on, "here"), ("fail", 71, refused, "here")],
            )

        self.run_desk(test, order(70, 1), order(71, 2))

    def test_end_on_a_bus_that_is_lost_is_nobody_s(self):
        async def test():
            given = self.bus.orders[0]
            self.database.outbox = []
            self.desk.lost([1])
            self.desk.finished(given, Outcome("confirmed", "off"))
            await self.settled()
            self.assertEqual(self.database.calls, [])

        self.run_desk(test, order(70, 1))

    def test_switching_makes_older_snapshots_older(self):
        async def test():
            mark = self.desk.mark()
            self.assertFalse(self.desk.switched_since(1, mark))
            self.desk.finished(self.bus.orders[0], Outcome("confirmed", "off"))
            self.assertTrue(self.desk.switched_since(1, mark))
            self.assertFalse(self.desk.switched_since(1, self.desk.mark()))

        self.run_desk(test, order(70, 1))
