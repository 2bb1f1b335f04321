"""Named points of the flow at which a test may kill the process.

A crash point costs one dictionary look-up unless ``ENERGY_CRASH_POINT`` names it. Then, once the
point has been reached as often as the optional count after the colon says
(``entry_written:3``), the hit is written to the file named by ``ENERGY_CRASH_LOG`` and the process
kills itself with SIGKILL: no ``finally``, no rollback, as if the plug had been pulled. With
``ENERGY_CRASH_SIGNAL=STOP`` it stops itself instead, until somebody has it go on.

Where ``ENERGY_CRASH_WHEN`` names a file, only what is reached while that file exists is counted: so
a test can choose what is under way.
"""

import os
import signal

POINTS = (
    "reading_stored",
    "usage_written",
    "entry_written",
    "before_commit",
    "after_commit",
    "write_sent",
    "before_read_back",
    "after_read_back",
    "order_confirmed",
)

_name, _, _count = os.environ.get("ENERGY_CRASH_POINT", "").partition(":")
_armed = {_name: int(_count or 1)} if _name else {}
_signal = signal.Signals[f"SIG{os.environ.get('ENERGY_CRASH_SIGNAL') or 'KILL'}"]
_when = os.environ.get("ENERGY_CRASH_WHEN")
if _name and _name not in POINTS:
    raise ValueError(
        f"ENERGY_CRASH_POINT names no crash point: {_name!r}. Known: {', '.join(POINTS)}"
    )


def reached(point: str) -> None:
    """Die here if the environment asks for it, else do nothing.

    :param point: one of :data:`POINTS`
    """
    if point not in _armed or (_when and not os.path.exists(_when)):
        return
    _armed[point] -= 1
    # Not below: another thread may come by while this one dies.
    if _armed[point] != 0:
        return
    log = os.environ.get("ENERGY_CRASH_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{point}\n")
            file.flush()
            os.fsync(file.fileno())
    os.kill(os.getpid(), _signal)
