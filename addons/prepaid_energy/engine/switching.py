"""Who of those whose supply is to be switched waits, and why.

What is wanted of a supply is decided elsewhere (`credit`); these rules only say when. Supply on is
never kept back but by its turn among many, and a payment's not even by that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pause:
    """``until``: before that moment a supply is not turned off. ``count``: how often it was
    switched within the last hour; ``is_flapping``: that was as often as it may be."""

    until: datetime
    count: int
    is_flapping: bool


def pause_before_off(
    switched: Sequence[tuple[datetime, str]], now: datetime, gap: timedelta, most: int
) -> Pause | None:
    """Return how long a supply stays on because of what was switched before; None: no longer.

    :param switched: moment and "on" or "off" of each confirmed order of the last hour, in order
    :param gap: least time between two switchings; zero: none
    :param most: switchings within an hour after which it stays on for the rest of it; 0: any number
    """
    changes: list[datetime] = []
    last = None
    for at, value in switched:
        if value != last and at > now - HOUR:
            changes.append(at)
        last = value
    if most and len(changes) >= most:
        return Pause(changes[-most] + HOUR, len(changes), is_flapping=True)
    if switched and switched[-1][0] + gap > now:
        return Pause(switched[-1][0] + gap, len(changes), is_flapping=False)
    return None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits for its turn in its building.

    ``is_tried``: its meter did not answer before. ``turn``: seconds from now at which its turn
    comes, 0 where it has come or the order is on its way; None: it has none yet.
    """

    order: int
    building: Hashable
    is_on: bool
    is_paid: bool
    is_tried: bool
    turn: int | None = None


def turns(waiting: Iterable[Waiting], per_second: Mapping[Hashable, int]) -> dict[int, int]:
    """Return after how many seconds each order has its turn; 0: now.

    Each building has ``per_second`` turns a second, and nobody waits while one is free. Payments
    come first, and wait for payments only; supply on comes before supply off, and meters that did
    not answer come last. Whoever has a turn keeps it. Everybody who knows the same orders comes to
    the same turns.
    """
    orders: dict[Hashable, list[Waiting]] = defaultdict(list)
    for order in waiting:
        orders[order.building].append(order)
    given = {}
    for building, members in orders.items():
        given.update(_turns_of_building(members, per_second[building]))
    return given


def _turns_of_building(members: list[Waiting], most: int) -> dict[int, int]:
    given = {order.order: order.turn for order in members if order.turn is not None}
    taken = Counter(given.values())
    paid = Counter(order.turn for order in members if order.turn is not None and order.is_paid)
    for order in sorted(
        (order for order in members if order.turn is None),
        key=lambda order: (not order.is_on, not order.is_paid, order.is_tried, order.order),
    ):
        turn, used = 0, paid if order.is_paid else taken
        while used[turn] >= most:
            turn += 1
        given[order.order] = turn
        taken[turn] += 1
        if order.is_paid:
            paid[turn] += 1
    return given


@dataclass(frozen=True, slots=True)
class CutLimits:
    """How many rooms may go dark for arrears before a person is asked.

    In one hour the larger of ``rooms`` and ``percent`` of the site's rooms with service; in one day
    one room in ``one_in`` of a building's, but at least one.
    """

    rooms: int
    percent: Decimal
    one_in: int

    def of_site(self, rooms_in_service: int) -> int:
        return max(self.rooms, int(rooms_in_service * self.percent / 100))

    def of_building(self, rooms_in_service: int) -> int:
        return max(1, rooms_in_service // self.one_in)


@dataclass(frozen=True, slots=True)
class Cut:
    """An order to turn a room off for arrears. ``at``: when it was written; None: it waits."""

    order: int
    room: int
    building: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Trip:
    """A crowd that is too large.

    ``scope`` is "site" or "building" (``building`` None: the rooms outside buildings). ``cut`` and
    ``waiting`` are numbers of rooms, ``orders`` all orders that wait.
    """

    scope: str
    building: int | None
    limit: int
    cut: int
    waiting: int
    orders: tuple[int, ...]


def may_be_crowd(limits: CutLimits, cuts: Sequence[Cut], now: datetime) -> bool:
    """Whether the rooms in service are needed to tell that no limit is exceeded."""
    buildings = {cut.building for cut in cuts}
    return len(_rooms(cuts, now - HOUR)) > limits.of_site(0) or any(
        len(_rooms([cut for cut in cuts if cut.building == building], now - DAY))
        > limits.of_building(0)
        for building in buildings
    )


def crowds(
    limits: CutLimits,
    in_service: Mapping[int | None, int],
    cuts: Sequence[Cut],
    now: datetime,
) -> list[Trip]:
    """Return the crowds of one site that are too large to be cut unasked.

    Those that wait count as if they were cut already, whoever would carry them out: so a crowd is
    seen before its first room is dark, and several connectors cannot exceed a limit together.

    :param in_service: rooms with service by building
    :param cuts: of the last day, and all that wait
    """
    limit = limits.of_site(sum(in_service.values()))
    if len(_rooms(cuts, now - HOUR)) > limit:
        # Who waits in a building waits in its site.
        trips = [_trip("site", None, limit, cuts, now - HOUR)]
        return [trip for trip in trips if trip.orders]
    trips = []
    for building in sorted({cut.building for cut in cuts}, key=lambda building: building or 0):
        members = [cut for cut in cuts if cut.building == building]
        limit = limits.of_building(in_service.get(building, 0))
        if len(_rooms(members, now - DAY)) > limit:
            trips.append(_trip("building", building, limit, members, now - DAY))
    return [trip for trip in trips if trip.orders]


def _rooms(cuts: Iterable[Cut], since: datetime) -> set[int]:
    return {cut.room for cut in cuts if cut.at is None or cut.at > since}


def _trip(
    scope: str, building: int | None, limit: int, cuts: Sequence[Cut], since: datetime
) -> Trip:
    waiting = [cut for cut in cuts if cut.at is None]
    return Trip(
        scope,
        building,
        limit,
        cut=len({cut.room for cut in cuts if cut.at is not None and cut.at > since}),
        waiting=len({cut.room for cut in waiting}),
        orders=tuple(cut.order for cut in waiting),
    )
