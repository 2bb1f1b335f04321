"""A payment meets a cut, and a connector dies, at every point of an order's way (C1, C2, C6)."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

from odoo.addons.prepaid_energy.models.energy_command_delivery import EnergyCommand
from odoo.addons.prepaid_energy.tests.common import START, EnergyCase
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import tagged

from ..connector import outbox
from ..modbus.device import ModbusDriver
from ..modbus.driver import FieldMeter, OrderHooks, Pending, SupplyOrder
from .common import judge_addresses_by_no_list

POINTS = (
    "queued",
    "taken",
    "sent",
    "write_sent",
    "before_read_back",
    "after_read_back",
    "order_confirmed",
)


class Killed(Exception):
    """The connector is gone; what it had committed stays."""


@dataclass
class Relay:
    """A DDSY1352 on the wire: only what an order reads and writes."""

    is_closed: bool = True
    register: int = 1000
    heard = None

    def __post_init__(self):
        self.writes = []

    def frame_of_write(self, _unit, _function, _address, words):
        return str(words)

    async def read_exchange(self, _unit, _profile, block):
        words = {0x0000: (0, self.register), 0x0224: (0x2009 if self.is_closed else 0x0008, 0)}
        answer = SimpleNamespace(request="", response=str(words[block.address]))
        return words[block.address][: block.count], answer

    async def write_registers(self, _unit, _profile, _function, _address, words, on_sent):
        self.is_closed = words == (1, 0)
        self.writes.append("on" if self.is_closed else "off")
        on_sent()
        return SimpleNamespace(request="", response="written")


@tagged("post_install", "-at_install")
class TestOrdersInFlight(PropertyCase, EnergyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        judge_addresses_by_no_list(cls.env)
        profile = cls.env["energy.meter.profile"].search([("code", "=", "acrel_ddsy1352")])
        gateway = cls.env["energy.gateway"].create(
            {"name": "Riser", "site_id": cls.site.id, "host": "192.0.2.10"}
        )
        gateway.action_arm()
        gateway.action_release_cuts()
        cls.meter = cls.make_meter("P1")
        cls.meter.write(
            {
                "driver": "modbus",
                "gateway_id": gateway.id,
                "unit_id": 1,
                "profile_id": profile.id,
            }
        )
        cls.env.flush_all()
        cls.env.cr.execute("UPDATE energy_meter SET is_commissioned = TRUE")
        cls.env.invalidate_all()
        cls.account = cls.open_account(cls.meter)
        cls.field_meter = FieldMeter(cls.meter.id, "P1", 1, profile._profile())

    def setUp(self):
        super().setUp()
        self.relay = Relay()
        self.events = {}

    def point(self, name):
        """The connector reaches a point of an order's way: what is planned for it happens."""
        self.env.invalidate_all()
        happens = self.events.pop(name, ())
        if "pay" in happens:
            self.top_up(self.account, 50)
            self.settle()
        if "kill" in happens:
            raise Killed(name)

    def connector(self):
        """Carry out whatever is due, as the connector does; it may be killed."""
        driver = ModbusDriver(self.relay)
        for _turn in range(10):
            self.env.cr.execute(
                "UPDATE energy_command SET not_before = NULL"
                " WHERE state IN ('queued', 'sent') AND waits_for IS NULL"
            )
            orders = outbox.take_orders(self.env, self.meter.ids)
            if not orders:
                return
            self.point("taken")
            asyncio.run(self.carry_out(driver, orders[0]))

    async def carry_out(self, driver, taken):
        async def may_write(order, request):
            why = outbox.may_write(self.env, order.key, request, "connector")
            if not why:
                self.point("sent")
            return why

        hooks = OrderHooks(may_write=may_write, reached=self.point)
        order = SupplyOrder(
            key=taken["id"],
            meter=self.meter.id,
            wanted=taken["value"],
            maybe_sent=taken["state"] == "sent" or taken["tries"] > 0,
            waited=taken["tries"] > 0,
        )
        result = await driver.start(self.field_meter, order, hooks)
        while isinstance(result, Pending):
            result = await driver.look(self.field_meter, result, hooks)
        if result.state == "confirmed":
            outbox.confirm(self.env, order.key, result, "connector")
            self.point("order_confirmed")
        elif result.state != "dropped":
            raise AssertionError(result)

    def live(self, **events):
        """Use what was paid, and let the connector work; then look again until nothing waits."""
        self.events = events
        self.read(self.meter, START + timedelta(hours=1), "10")
        self.settle()
        self.point("queued")
        for _start in range(3):
            try:
                self.connector()
            except Killed:
                continue
        self.assertFalse(self.events, "not every planned event came")
        return self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")

    def undone(self, check, *args):
        self.env.cr.execute("SAVEPOINT in_flight")
        self.relay = Relay()
        try:
            check(*args)
        finally:
            self.env.cr.execute("ROLLBACK TO SAVEPOINT in_flight")
            self.env.invalidate_all()

    def check_payment(self, point, kill):
        orders = self.live(**{point: ("pay", "kill") if kill else ("pay",)})
        self.assertTrue(self.relay.is_closed, "the relay ends on")
        self.assertLessEqual(len(self.relay.writes), 2, "at most one extra switching")
        self.assertEqual(orders.mapped("value"), ["off", "on"])
        self.assertEqual(orders[1].state, "confirmed")
        done = "confirmed" if point == "order_confirmed" else "overtaken"
        if point == "after_read_back" and not kill:
            done = "confirmed"
        if point in ("queued", "taken"):
            self.assertEqual(orders[0].state, "overtaken")
            self.assertNotIn("off", self.relay.writes)
        else:
            self.assertIn(orders[0].state, (done, "confirmed"))
        self.assertEqual(self.meter.status_id.supply_state, "on")
        self.assertEqual(self.meter.control_id.wanted, "on")

    def test_payment_while_a_cut_is_in_flight(self):
        for point in POINTS:
            for kill in (False, True) if point != "queued" else (False,):
                with self.subTest(point=point, kill=kill):
                    self.undone(self.check_payment, point, kill)

    def test_defects_are_caught(self):
        """The cut is written although a payment came; the payment's order is overtaken."""
        self.holds(
            lambda: self.undone(self.check_payment, "taken", False),
            (ModbusDriver._start, "if reason:", "if False:"),
        )
        self.holds(
            lambda: self.undone(self.check_payment, "write_sent", True),
            (EnergyCommand._take, "AND h.number > c.number", "AND h.number < c.number"),
        )

    def check_killed(self, point):
        orders = self.live(**{point: ("kill",)})
        self.assertFalse(self.relay.is_closed)
        self.assertEqual(self.relay.writes, ["off"], "written once")
        self.assertEqual(orders.mapped("state"), ["confirmed"])

    def test_killed_connector_is_followed_by_one_that_reads_first(self):
        """C6: once it may have been written, nobody writes it again."""
        for point in POINTS[1:]:
            with self.subTest(point=point):
                self.undone(self.check_killed, point)

    def test_only_the_last_of_many_wishes_is_carried_out(self):
        """C2: a hundred orders while the meter was away."""
        for _turn in range(50):
            self.meter.control_id._order_by_person("off", "Works")
            self.meter.control_id._order_by_person("hold", "Works done")
        self.connector()
        self.assertEqual(self.relay.writes, ["on"])
        orders = self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")
        self.assertEqual(orders.mapped("state"), ["overtaken"] * 99 + ["confirmed"])
