"""What the field side asks of any protocol: read a meter, carry out an order.

A driver does one thing at a time on one bus. Whoever calls it decides the order of work
(:mod:`.bus`); another protocol plugs in by another driver with the same three methods.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from .identity import Identity
from .profile import Profile
from .recording import NO_FRAMES, Frames

SupplyState = Literal["on", "off", "moving", "unknown"]


@dataclass(frozen=True)
class FieldMeter:
    """A meter as the bus knows it.

    ``key``: whatever the caller tells meters apart by. ``name``: the serial number on the
    plate. ``control_key``: the word that its control wants before the order, where it wants one.
    ``identified_at``: when it was last asked who it is (naive UTC), None = ask. ``serial_known``:
    it has shown its own serial number before, so that another one means another meter, however
    sure the register is. ``multiplier``: CT x PT as last read.
    """

    key: int
    name: str
    unit: int
    profile: Profile
    control_key: int | None = None
    identified_at: datetime | None = None
    serial_known: bool = False
    multiplier: Decimal | None = None


@dataclass(slots=True)
class Snapshot:
    """One reading. Quantities in kWh or m3, ``moment`` on the caller's clock (naive UTC).

    ``power`` in kW, or m3/h of a water meter. ``bands``: band_1 to band_8 as far as the device
    has them. ``values``: every other decoded value by meaning. ``raw``: the bytes of each
    block by function code and address (``03:0000``). ``multiplier``: CT x PT as the meter says it,
    now or when it was last asked. ``identity``: what it said of itself, where it was just asked.
    ``trip``: why the meter turned its supply off by itself, of ``flags.TRIPS``; ``alarms``: what it
    reports of itself, of ``flags.ALARMS``. ``latency``: milliseconds from request to answer, the
    mean of its exchanges.
    """

    meter: int
    moment: datetime
    total: Decimal
    bands: tuple[Decimal | None, ...] = ()
    power: Decimal | None = None
    voltage: Decimal | None = None
    current: Decimal | None = None
    supply_state: SupplyState | None = None
    serial: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    raw: Mapping[str, bytes] = field(default_factory=dict)
    multiplier: Decimal | None = None
    identity: Identity | None = None
    trip: str | None = None
    alarms: tuple[str, ...] = ()
    latency: float = 0.0


@dataclass(frozen=True)
class SupplyOrder:
    """Turn a supply on or off.

    ``maybe_sent``: an earlier attempt may have reached the device, so look first and write
    only when it is not in the wanted state. ``last_total``: the last believed register, where
    one is known; a meter without a serial number to compare must not show less. ``most_total``:
    what it can show at most by now, where a limit of the meter is known.
    ``waited``: an earlier attempt waited as long as a valve may take; one that still seems to move
    stopped on its way.
    """

    key: int
    meter: int
    wanted: Literal["on", "off"]
    maybe_sent: bool = False
    last_total: Decimal | None = None
    most_total: Decimal | None = None
    waited: bool = False


@dataclass(frozen=True)
class Outcome:
    """How an order ended.

    - ``confirmed``: the read-back shows the wanted state;
    - ``dropped``: the last check before the write said no; nothing was written;
    - ``untouched``: the meter could not be reached before the write; nothing was written;
    - ``unknown``: written, but no read-back showed the wanted state; may be tried again;
    - ``failed``: trying again cannot help (no control, wrong meter, refused by the device, and the
      read-back of what was written all the same does not show the wanted state).

    ``frames``: what was exchanged. ``trip``: see ``Snapshot``, as the read-back shows it.
    ``gateway_away``: it is the gateway that was not reached.
    """

    state: Literal["confirmed", "dropped", "untouched", "unknown", "failed"]
    supply_state: SupplyState | None = None
    request: str = ""
    response: str = ""
    error: str = ""
    frames: Frames = NO_FRAMES
    trip: str | None = None
    gateway_away: bool = False


@dataclass(frozen=True)
class Pending:
    """An order that waits for its read-back, due at ``look_at`` (monotonic seconds).

    ``request``: "" where nothing was written, because a valve was moving already. ``refusal``: what
    came to the write instead of an acknowledgement; ``is_final``: writing again cannot help.
    ``silent``: how
    often in a row the look was not answered. ``frames``: what was exchanged. ``told``: whether the
    hook has been told that the valve moves.
    """

    order: SupplyOrder
    request: str
    response: str
    look_at: float
    give_up_at: float
    refusal: str = ""
    is_final: bool = False
    silent: int = 0
    frames: Frames = NO_FRAMES
    told: bool = False


async def _nobody_asks(order: SupplyOrder) -> None:
    """The hook of those who do not want to know."""


@dataclass(frozen=True)
class OrderHooks:
    """What the caller does around a write.

    ``may_write(order, request)`` checks the order once more and records it as sent;
    a text is the reason why not, "" means go. ``moving(order)`` is told once when a read-back
    shows the valve on its way. ``reached(point)`` marks crash points.
    """

    may_write: Callable[[SupplyOrder, str], Awaitable[str]]
    reached: Callable[[str], None] = lambda point: None
    moving: Callable[[SupplyOrder], Awaitable[None]] = _nobody_asks


@dataclass(frozen=True)
class JobResult:
    """How a job ended.

    - ``confirmed``: done; ``result`` says what was found, in what JSON can hold;
    - ``untouched``: nothing was reached; may be tried again;
    - ``failed``: trying again cannot help.

    ``request`` and ``response``: what was sent and what came back, for the record.
    """

    state: Literal["confirmed", "failed", "untouched"]
    result: Mapping[str, object] = field(default_factory=dict)
    request: str = ""
    response: str = ""
    error: str = ""


class Job(Protocol):
    """Work of many exchanges that gives way to orders and readings between any two of them.

    ``key``: the command behind it. ``kind``: its kind.
    """

    key: int
    kind: str

    async def step(self, driver: "Driver") -> JobResult | None:
        """Make the next exchange, one at most. :return: None while there is more to do

        :raise FieldError: the job cannot go on now; it is untouched and may begin again
        """

    def progress(self) -> Mapping[str, object]:
        """What is known so far, as ``JobResult.result``; empty: nothing to tell yet."""
        return {}


class Driver(Protocol):
    """One bus of one protocol."""

    async def read(
        self,
        meter: FieldMeter,
        moment: Callable[[], datetime],
        let_by: Callable[[], Awaitable[None]] | None = None,
    ) -> Snapshot:
        """A whole reading. Between two exchanges of it ``let_by`` lets what cannot wait go first.

        :raise FieldError: nothing readable came; a snapshot is whole or not at all
        """

    async def identify(
        self, meter: FieldMeter, so_far: Identity | None, moment: Callable[[], datetime]
    ) -> Identity:
        """Ask a meter who it is, one exchange a call, until the result says that it is done.

        Raises no FieldError but NotHolder: what cannot be read is named in the result.
        """

    async def start(
        self, meter: FieldMeter, order: SupplyOrder, hooks: OrderHooks
    ) -> Outcome | Pending:
        """Compare the meter, ask ``hooks.may_write``, write. Raises no FieldError."""

    async def look(
        self, meter: FieldMeter, pending: Pending, hooks: OrderHooks
    ) -> Outcome | Pending:
        """Read the state back once. Raises no FieldError."""

    async def close(self) -> None:
        """Let go of the bus."""
