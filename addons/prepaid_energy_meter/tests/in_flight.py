"""A meter whose orders go their whole way: the real driver, on a relay that may not obey."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

from odoo.addons.prepaid_energy.tests.common import START, EnergyCase

from ..connector import outbox
from ..modbus.device import ModbusDriver
from ..modbus.driver import FieldMeter, OrderHooks, Pending, SupplyOrder
from ..modbus.errors import NoAnswer
from ..modbus.profile import StateRule
from .common import judge_addresses_by_no_list

TOTAL, FLAGS = 0x0000, 0x0224
HOUR = timedelta(hours=1)


class Killed(Exception):
    """The connector is gone; what it had committed stays."""


@dataclass
class Relay:
    """A DDSY1352 on the wire with a relay of two contacts: only what an order reads and writes.

    :param moves: how many contacts move when they are told to
    :param says: what is raised instead of the acknowledgement of a write
    :param reads: what is raised instead of every register but the relay's state
    :param is_silent: it answers nothing
    """

    moves: int = 2
    says: Exception | None = None
    reads: Exception | None = None
    is_silent: bool = False
    contacts: list = field(default_factory=lambda: [True, True])
    writes: list = field(default_factory=list)
    heard = None

    @property
    def is_closed(self):
        return all(self.contacts)

    def frame_of_write(self, _unit, _function, _address, words):
        return str(words)

    async def read_exchange(self, _unit, _profile, block):
        if self.is_silent:
            raise NoAnswer("no answer in 1 s")
        if self.reads and block.address != FLAGS:
            raise self.reads
        flags = 0x0008 + sum(
            bit for bit, on in zip((0x2000, 0x4000), self.contacts, strict=True) if on
        )
        words = {TOTAL: (0, 1000), FLAGS: (flags, 0)}[block.address]
        return words[: block.count], SimpleNamespace(request="", response=str(words))

    async def write_registers(self, _unit, _profile, _function, _address, words, on_sent):
        wanted = words == (1, 0)
        self.writes.append("on" if wanted else "off")
        self.contacts[: self.moves] = [wanted] * self.moves
        on_sent()
        if self.says:
            raise self.says
        return SimpleNamespace(request="", response="written")


class Seconds:
    """A monotonic clock of which every look takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1
        return self.now


class InFlightCase(EnergyCase):
    """One meter behind an armed gateway, and a connector without a loop."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        judge_addresses_by_no_list(cls.env)
        record = cls.env["energy.meter.profile"].search([("code", "=", "acrel_ddsy1352")])
        cls.gateway = cls.env["energy.gateway"].create(
            {"name": "Riser", "site_id": cls.site.id, "host": "192.0.2.10"}
        )
        cls.gateway.action_arm()
        cls.gateway.action_release_cuts()
        cls.meter = cls.make_meter("P1")
        cls.meter.write(
            {
                "driver": "modbus",
                "gateway_id": cls.gateway.id,
                "unit_id": 1,
                "profile_id": record.id,
            }
        )
        cls.env.flush_all()
        cls.env.cr.execute("UPDATE energy_meter SET is_commissioned = TRUE")
        cls.env.invalidate_all()
        cls.account = cls.open_account(cls.meter)
        profile = record._profile()
        # On and off are both contacts; one alone is neither.
        states = (StateRule("on", 0x6000, 0x6000), StateRule("off", 0x6000, 0))
        control = replace(profile.control, states=states)
        cls.field_meter = FieldMeter(cls.meter.id, "P1", 1, replace(profile, control=control))

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
        if "protect" in happens:
            self.meter.is_protected = True
            self.env.flush_all()
        if "kill" in happens:
            raise Killed(name)

    def connector(self):
        """Carry out whatever is due, as the connector does; it may be killed."""
        driver = ModbusDriver(self.relay, now=Seconds())
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
        elif result.state in ("untouched", "unknown"):
            outbox.put_off(self.env, order.key, result, "connector")
        elif result.state == "failed":
            outbox.fail(self.env, order.key, result, "connector")

    def orders(self):
        return self.env["energy.command"].search([("meter_id", "=", self.meter.id)], order="id")

    def to_dos(self, *kinds):
        domain = [("kind", "in", kinds)] if kinds else []
        return self.env["energy.meter.finding"].search([*domain, ("state", "=", "open")])

    def live(self, **events):
        """Use what was paid, and let the connector work; then look again until nothing waits."""
        self.events = events
        self.read(self.meter, START + HOUR, "10")
        self.settle()
        self.point("queued")
        for _start in range(3):
            try:
                self.connector()
            except Killed:
                continue
        self.assertFalse(self.events, "not every planned event came")
        return self.orders()

    def undone(self, check, *args):
        self.env.cr.execute("SAVEPOINT in_flight")
        self.relay = Relay()
        try:
            check(*args)
        finally:
            self.env.cr.execute("ROLLBACK TO SAVEPOINT in_flight")
            self.env.invalidate_all()
