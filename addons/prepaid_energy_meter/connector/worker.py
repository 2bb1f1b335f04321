"""One gateway that this connector holds: its connection, its bus, its task."""

import asyncio
import logging

from odoo.addons.prepaid_energy.clock import monotonic

from ..modbus.bus import Bus
from ..modbus.device import ModbusDriver
from ..modbus.errors import NotHolder

_logger = logging.getLogger(__name__)

#: Real seconds before the end of a lease at which its holder stops sending.
SAFETY_SECONDS = 1.0


class Worker:
    """Keeps one gateway busy while it is held.

    :param gateway: a :class:`.field.FieldGateway`
    :param allowed: a :class:`modbus.addresses.Allowed`
    :param events: see :class:`modbus.bus.Events`
    """

    def __init__(self, gateway, allowed, events, hooks, moment):
        self.gateway = gateway
        self.allowed = allowed
        self._held_until = 0.0
        self._was_good = 0
        self.client = gateway.line.client(allowed, self._may_send)
        self.bus = Bus(
            ModbusDriver(self.client),
            events,
            hooks,
            moment,
            name=gateway.name,
            retries=gateway.line.retries,
        )
        self.bus.set_meters(gateway.meters)
        self.keys = {meter.key for meter in gateway.meters}
        self.task = None

    def held_until(self, moment):
        """Note how long the lease surely lasts, in monotonic seconds."""
        self._held_until = moment - SAFETY_SECONDS

    def _may_send(self):
        return monotonic() < self._held_until

    def start(self):
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        try:
            await self.bus.run()
        except NotHolder:
            _logger.info("Gateway %s: the lease was not renewed in time", self.gateway.name)
        except Exception:
            # The other gateways go on; this one is taken anew at the next beat.
            _logger.exception("Gateway %s: the worker ended", self.gateway.name)

    async def stop(self):
        """Let go of the gateway; what was under way is cut short."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def takes_over(self, gateway, allowed):
        """Whether the changed gateway can go on over the same connection; then it does."""
        same = self.gateway.line == gateway.line and self.allowed == allowed
        if same:
            self.gateway = gateway
            self.bus.set_meters(gateway.meters)
            self.keys = {meter.key for meter in gateway.meters}
        return same

    def health_row(self):
        """Return the gateway's health as :func:`.store.beat` stores it."""
        health = self.bus.health
        answered = health.good > self._was_good
        self._was_good = health.good
        return (
            self.gateway.id,
            health.online,
            health.misses,
            health.error[:250],
            health.good,
            health.bad,
            answered,
        )
