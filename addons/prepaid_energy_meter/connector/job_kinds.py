"""What each kind of order that is a job makes of its arguments."""

from collections.abc import Callable

from .clock import make_clock
from .probe import make_probe
from .scan import make_scan

#: Kind to ``make(order, hooks)``, which returns a :class:`..modbus.driver.Job` or raises a
#: ValueError with the reason why the order cannot be carried out at all.
#: ``order``: id, kind, arguments, ``profiles`` (by id, as far as they can be used) and
#: ``meter`` (a FieldMeter, or None), ``now`` (the project clock, naive UTC).
KINDS: dict[str, Callable] = {"probe": make_probe, "scan": make_scan, "clock": make_clock}


def make_job(order, hooks):
    """:raise ValueError: the order cannot be carried out, with the reason"""
    if order["kind"] not in KINDS:
        raise ValueError(f"unknown kind of order: {order['kind']}")
    return KINDS[order["kind"]](order, hooks)
