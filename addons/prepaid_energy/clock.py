"""The two clocks of the project; nothing else asks for the date or the time of day.

Every step of the flow lives on the *project clock*, which is real time unless a test or demo
database has shifted it or sped it up (``energy.clock``). Leases, time-outs, wire back-off and
measurements run on real time, which only ever moves forward.
"""

import time
from datetime import datetime


def now(cr) -> datetime:
    """Return the present moment on the project clock.

    :param cr: an open database cursor
    :return: naive UTC moment, whole seconds
    """
    cr.execute("SELECT energy_now()")
    return cr.fetchone()[0]


def monotonic() -> float:
    """Return real seconds from an arbitrary start, for durations only."""
    return time.monotonic()
