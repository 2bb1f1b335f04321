"""The order *clock*: from its arguments to the job."""

from datetime import UTC
from zoneinfo import ZoneInfo

from ..modbus.clock_setting import ClockJob


def make_clock(order, hooks):
    """See :data:`.job_kinds.KINDS`. Arguments: tz, the time zone that the meter's clock shows.

    :raise ValueError: the profile does not know how the clock is set
    """
    if order["meter"] is None:
        raise ValueError("the meter's profile cannot be used")
    zone = ZoneInfo(order["arguments"]["tz"])

    def wall():
        return order["now"]().replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)

    return ClockJob(order["id"], order["meter"], hooks, wall)
