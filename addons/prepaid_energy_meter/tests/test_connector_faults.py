import asyncio
import logging
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from unittest.mock import patch

from odoo.addons.prepaid_energy import clock
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import tagged

from ..connector import Connector, outbox, store, troubles
from ..connector import connector as connector_module
from ..connector.collector import Collector
from ..connector.jobs import JobDesk
from ..connector.orders import OrderDesk
from ..connector.troubles import Parts, Troubles, lasting
from ..modbus.driver import JobResult, Outcome, Snapshot
from .common import FieldCommon

LOGGER = "odoo.addons.prepaid_energy_meter.connector"


class OneTransaction:
    """The connector's database within the test's transaction; what fails is undone."""

    def __init__(self, env):
        self.env = env

    async def run(self, function, *args, around_commit=None):
        with self.env.cr.savepoint():
            return function(self.env, *args)


class Broken(OneTransaction):
    """Fails as long as it is broken."""

    is_broken = True

    async def run(self, function, *args, around_commit=None):
        if self.is_broken:
            raise ValueError("bad")
        return await super().run(function, *args, around_commit=around_commit)


class ToldDesk:
    """A desk that notes what it is told of readings."""

    def __init__(self):
        self.has, self.has_not = [], []

    def mark(self):
        return 0

    def switched_since(self, meter, mark):
        return False

    def stored(self, snapshots):
        self.has += [snapshot.meter for snapshot in snapshots]

    def not_stored(self, meter):
        self.has_not.append(meter)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


@tagged("post_install", "-at_install")
class TestConnectorFaults(PropertyCase, FieldCommon):
    """What is wrong with one meter, order or gateway stops none of the others."""

    # --- one reading ---------------------------------------------------------------------------

    def check_deleted_meter(self):
        with self.env.cr.savepoint() as savepoint:
            gone = self.create_meter("FIELD-3", 3)
            key = gone.id
            gone.unlink()
            desk = ToldDesk()
            collector = Collector(OneTransaction(self.env), desk)
            now = clock.now(self.env.cr)
            keys = (self.meter.id, key, self.valve.id)
            for age in (2, 1):
                for meter in keys:
                    collector.snapshot(Snapshot(meter, now - timedelta(hours=age), Decimal(10)))
                with self.assertLogs(LOGGER, logging.INFO) as told:
                    try:
                        run(collector.flush())
                    except ValueError as error:
                        self.fail(error)
                    logging.getLogger(LOGGER).info("end")
                # Once, with its traceback.
                self.assertEqual("Traceback" in "".join(told.output), age == 2)
            self.assertCountEqual(desk.has, [self.meter.id, self.valve.id] * 2)
            self.assertEqual(desk.has_not, [key, key])
            stored = self.env["energy.reading"].search_count(
                [("meter_id", "in", (self.meter | self.valve).ids)]
            )
            self.assertEqual(stored, 4)
            self.assertFalse(collector._snapshots)
            savepoint.rollback()
        self.env.invalidate_all()

    def test_reading_of_a_deleted_meter_stops_no_other(self):
        self.holds(
            self.check_deleted_meter,
            (Parts._halve, "results.append(await work(items))", "await work(items); return"),
            (Parts._halve, "failed[items[0]] = error", "raise"),
        )

    def test_nothing_is_lost_where_nothing_can_be_stored(self):
        database, desk = Broken(self.env), ToldDesk()
        collector = Collector(database, desk)
        now = clock.now(self.env.cr)
        for meter in (self.meter.id, self.valve.id):
            collector.snapshot(Snapshot(meter, now, Decimal(10)))
        with self.assertRaisesRegex(ValueError, "bad"):
            run(collector.flush())
        self.assertFalse(collector.is_idle)
        database.is_broken = False
        run(collector.flush())
        self.assertEqual((desk.has, desk.has_not), ([self.meter.id, self.valve.id], []))

    def test_deleted_meter_is_announced(self):
        gone = self.create_meter("FIELD-3", 3)
        with patch.object(type(self.gateway), "_notify_field") as notify:
            gone.unlink()
        notify.assert_called_once()

    def test_what_fails_is_found_by_halves_and_done_apart_until_it_works(self):
        asked, bad = [], {3, 6}

        async def work(items):
            asked.append(items)
            if bad.intersection(items):
                raise ValueError("bad")
            return sum(items)

        parts = Parts("Counting %s")

        async def test():
            with self.assertLogs(LOGGER, "ERROR") as told:
                results, failed = await parts.do(work, range(8))
            self.assertEqual((sum(results), sorted(failed)), (0 + 1 + 2 + 4 + 5 + 7, [3, 6]))
            self.assertEqual(len(told.records), 2)
            asked.clear()
            results, failed = await parts.do(work, range(8))
            self.assertEqual(asked, [[0, 1, 2, 4, 5, 7], [3], [6]])
            bad.clear()
            with self.assertLogs(LOGGER, logging.INFO) as told:
                await parts.do(work, range(8))
            self.assertEqual(sum("works again" in line for line in told.output), 2)
            asked.clear()
            await parts.do(work, range(8))
            self.assertEqual(len(asked), 1)

        run(test())

    # --- one order -----------------------------------------------------------------------------

    def test_order_that_cannot_be_taken_stops_no_other(self):
        given = []

        class Database:
            async def run(self, function, meters):
                if 2 in meters:
                    raise ValueError("bad")
                return [
                    {"id": 10 + m, "meter_id": m, "kind": "read", "value": None} for m in meters
                ]

        bus = SimpleNamespace(ask_read=lambda meter, urgent: given.append(meter))
        desk = OrderDesk(Database(), lambda _meter: bus, lambda: [1, 2, 3], None)

        async def test():
            task = asyncio.create_task(desk.run())
            while len(given) < 2:
                await asyncio.sleep(0.01)
            self.assertFalse(task.done())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        with self.assertLogs(LOGGER, "ERROR") as told:
            run(test())
        self.assertEqual(given, [1, 3])
        self.assertIn("Taking the orders of meter 2", told.output[0])

    def test_job_that_cannot_be_made_fails_and_stops_no_other(self):
        noted, jobs = [], []

        class Database:
            async def run(self, function, *args):
                if function is outbox.take_jobs:
                    if 8 in args[0]:
                        raise ValueError("bad")
                    orders = [
                        {"id": key, "gateway_id": 7, "kind": "probe"} for key in (1, 2) if not noted
                    ]
                    return orders, set()
                noted.append((function.__name__, args[0], args[1].error))
                return None

        def make(order):
            if order["id"] == 1:
                raise KeyError("unit")
            return SimpleNamespace(key=order["id"], progress=dict)

        bus = SimpleNamespace(give_job=lambda job: jobs.append(job.key))
        desk = JobDesk(Database(), lambda _gateway: bus, lambda: [7, 8], make)

        async def test():
            await desk._look([7, 8])
            await desk.drain()

        with self.assertLogs(LOGGER, "ERROR") as told:
            run(test())
        self.assertEqual(noted, [("fail", 1, "KeyError: 'unit'")])
        self.assertEqual(jobs, [2])
        self.assertIn("no job can be made of it", "".join(told.output))
        self.assertIn("Taking the orders of gateway 8", "".join(told.output))

    # --- the process ---------------------------------------------------------------------------

    def test_loop_that_fails_goes_on_and_is_told_once(self):
        turns = []

        async def loop():
            turns.append(1)
            if len(turns) < 4:
                raise ValueError("bad")
            await asyncio.sleep(20)

        async def test():
            task = asyncio.create_task(lasting("Turning", loop, Troubles()))
            while len(turns) < 4:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        with patch.object(troubles, "PAUSE", 0), self.assertLogs(LOGGER, "ERROR") as told:
            run(test())
        self.assertEqual(len(told.records), 1)
        self.assertTrue(told.records[0].exc_info)

    def connector(self):
        connector = Connector("none")
        connector.troubles = Troubles()
        connector.workers, connector._gateways = {}, {7: None}
        return connector

    def test_who_cannot_hold_for_longer_than_a_lease_ends(self):
        connector, beats = self.connector(), []

        async def beat():
            beats.append(1)
            raise ValueError("bad")

        connector._beat = beat
        with (
            patch.object(connector_module, "BEAT_SECONDS", 0.01),
            patch.object(store, "LEASE_SECONDS", 0.05),
            self.assertLogs(LOGGER, "ERROR") as told,
            self.assertRaisesRegex(ValueError, "bad"),
        ):
            run(connector._beat_loop())
        self.assertGreater(len(beats), 1, "not at the first time")
        self.assertEqual(len(told.records), 1)

    def test_leases_do_not_hang_on_what_is_told_of_gateways(self):
        connector, asked = self.connector(), []
        connector.workers = {7: SimpleNamespace(health_row=lambda: "row")}

        class Database:
            async def run(self, function, holder, gateways, rows):
                asked.append(rows)
                if rows:
                    raise ValueError("bad")
                return set(gateways), None, 1.0, None

        connector.database = Database()
        with self.assertLogs(LOGGER, "ERROR") as told:
            held, *_others = run(connector._hold())
        self.assertEqual((held, asked), ({7}, [["row"], []]))
        self.assertEqual(len(told.records), 1)

    def test_buses_are_let_go_of_together(self):
        """The next run of the scheduled action waits for all of them."""

        async def load(connector):
            barrier = asyncio.Barrier(2)
            for key in (1, 2):
                connector.workers[key] = SimpleNamespace(
                    stop=barrier.wait, bus=SimpleNamespace(take_tallies=dict), gateway=self.gateway
                )

        async def nothing(connector):
            pass

        with (
            patch.object(Connector, "_load", load),
            patch.object(Connector, "_beat", nothing),
            patch.object(Connector, "_work", nothing),
        ):
            run(Connector(self.env.cr.dbname)._main())

    # --- a gateway that is back ------------------------------------------------------------------

    def test_gateway_that_is_back_ends_the_waits_of_its_meters(self):
        connector, looked_for = self.connector(), []

        class Database:
            async def run(self, function, *args):
                return []

        async def test():
            connector.jobs = SimpleNamespace(announce=lambda: looked_for.append("jobs"))
            connector.desk = desk = OrderDesk(Database(), None, list, connector.jobs)
            connector.workers = {7: SimpleNamespace(keys={1, 2})}
            for meter in (1, 2, 3):
                for _time in range(8):
                    desk._wait(meter)
            for online, misses in ((None, 1), (False, 3), (True, 0)):
                self.assertEqual(set(desk._waits), {1, 2, 3})
                connector._gateway_told(7, SimpleNamespace(online=online, misses=misses))
            # Those of other gateways wait on.
            self.assertEqual((set(desk._waits), desk._hinted), ({3}, {1, 2}))
            self.assertEqual(looked_for, ["jobs"])
            connector._gateway_told(8, SimpleNamespace(online=True, misses=0))

        run(test())

    def test_worker_tells_of_its_gateway(self):
        connector, told = self.connector(), []
        connector.desk = SimpleNamespace(
            finished=None, hooks=None, announce=lambda: None, answered=told.append
        )
        connector.jobs = SimpleNamespace(finished=None, announce=lambda: None)
        connector.clock = SimpleNamespace(now=datetime.now)
        connector._networks, connector._worker_of = (None, ""), {}
        made = []

        def worker(gateway, allowed, events, hooks, moment):
            made.append(events)
            return SimpleNamespace(keys={1, 2}, start=lambda: None)

        with patch.object(connector_module, "Worker", worker):
            connector._take(SimpleNamespace(id=7, name="Riser"))
        made[0].gateway(SimpleNamespace(online=True, misses=0))
        self.assertEqual(sorted(told), [1, 2])


@tagged("post_install", "-at_install")
class TestLostLease(PropertyCase, FieldCommon):
    """A connector that wakes after its lease was over notes nothing about orders."""

    def setUp(self):
        super().setUp()
        self.gateway.action_arm()
        self.hold("A")

    def hold(self, holder):
        self.env.cr.execute(
            "UPDATE energy_gateway_status SET lease_until = energy_real_now()"
            " WHERE gateway_id = %s",
            self.gateway.ids,
        )
        store.beat(self.env, holder, self.gateway.ids, [])

    def state(self, command):
        """What is to be seen of an order and of its meter."""
        self.env.invalidate_all()
        return (
            command.state,
            command.tries,
            command.result,
            command.attempt_ids.mapped("outcome"),
            command.meter_id.control_id.wanted,
            command.meter_id.status_id.supply_state,
        )

    def late(self, command):
        """Have A note everything that it may come with."""
        unknown = Outcome("unknown", "on", "req", "", "the lease is over")
        outbox.show_moving(self.env, command.id, "A")
        for _time in range(6):
            outbox.put_off(self.env, command.id, unknown, "A")
        outbox.put_off(self.env, command.id, Outcome("untouched", error="no answer"), "A")
        outbox.fail(self.env, command.id, Outcome("failed", error="refused"), "A")
        outbox.confirm(self.env, command.id, Outcome("confirmed", "on"), "A")
        outbox.confirm_read(self.env, command.id, "03:0000", "A")
        self.assertTrue(outbox.may_write(self.env, command.id, "01 10", "A"))

    def check_confirmed_by_another(self, confirmed):
        with self.env.cr.savepoint() as savepoint:
            cut = self.order(self.meter, "off", cause="arrears")
            self.gateway.action_release_cuts()
            self.env.cr.execute(
                "UPDATE energy_meter_control SET wanted = 'off', wanted_cause = 'arrears'"
                " WHERE meter_id = %s",
                self.meter.ids,
            )
            cut._sent("01 10")
            self.hold("B")
            if confirmed:
                done = Outcome("confirmed", "off", "01 10", "01 03")
                outbox.confirm(self.env, cut.id, done, "B")
            before = self.state(cut)
            self.assertEqual(before[0], "confirmed" if confirmed else "sent")
            self.late(cut)
            self.assertEqual(self.state(cut), before)
            savepoint.rollback()
        self.env.invalidate_all()

    def test_order_carried_out_by_another_stays_as_it_is(self):
        self.holds(
            lambda: self.check_confirmed_by_another(True),
            (outbox._mine, "if state in WAITING and present in (None, holder):", "if True:"),
        )

    def test_order_in_the_hand_of_another_stays_as_it_is(self):
        self.holds(
            lambda: self.check_confirmed_by_another(False),
            (outbox._mine, "and present in (None, holder)", ""),
        )

    def test_job_in_the_hand_of_another_stays_as_it_is(self):
        command = self.gateway._order_job("probe", {"unit": 1, "profile": self.power.id})
        self.hold("B")
        before = self.state(command)
        found = {command.id: {"unit": 1, "blocks": [], "left": 1}}
        outbox.take_jobs(self.env, self.gateway.ids, [command.id], found, "A")
        for state in ("confirmed", "untouched", "failed"):
            result = JobResult(state, {"unit": 1}, "req", "res", "error")
            outbox.finish_job(self.env, command.id, result, "A")
        self.assertEqual(self.state(command), before)
        outbox.take_jobs(self.env, self.gateway.ids, [command.id], found, "B")
        self.assertEqual(command.result, found[command.id])

    def test_holder_notes_on(self):
        command = self.order(self.meter, "off")
        self.assertEqual(outbox.may_write(self.env, command.id, "01 10", "A"), "")
        outbox.put_off(self.env, command.id, Outcome("unknown", "on", error="did not move"), "A")
        outbox.confirm(self.env, command.id, Outcome("confirmed", "off"), "A")
        self.assertEqual(command.attempt_ids.mapped("holder"), ["A"] * 3)
        self.assertEqual(
            command.attempt_ids.mapped("outcome"), ["written", "unconfirmed", "confirmed"]
        )
