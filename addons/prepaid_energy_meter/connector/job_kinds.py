"""What each kind of order that is a job makes of its arguments."""

from collections.abc import Callable

from ..modbus.reading_out import ProbeJob


def make_job(order, hooks):
    """Make the job of an order.

    :param order: as :func:`.store.take_jobs` returns them
    :param hooks: asked before anything is written, see :class:`..modbus.driver.OrderHooks`
    :rtype: Job
    :raise ValueError: the order cannot be carried out, with the reason
    """
    if order["kind"] not in KINDS:
        raise ValueError(f"unknown kind of order: {order['kind']}")
    return KINDS[order["kind"]](order, hooks)


def _profile(order, profile_id):
    profile = order["profiles"].get(profile_id)
    if profile is None:
        raise ValueError("the profile is gone or cannot be used")
    return profile


def _probe(order, _hooks):
    arguments = order["arguments"]
    return ProbeJob(order["id"], arguments["unit"], _profile(order, arguments["profile"]))


#: Kind to ``make(order, hooks)``.
KINDS: dict[str, Callable] = {"probe": _probe}
