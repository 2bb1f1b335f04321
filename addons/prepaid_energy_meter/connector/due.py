"""Which meters are due: at whole multiples of their interval from the site's midnight."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def aligned(now: datetime, zone: ZoneInfo, interval: int) -> datetime:
    """Return the last moment at or before ``now`` at which a meter is to be read.

    :param now: naive UTC
    :param interval: minutes; multiples of it count from local midnight, on the wall clock
    :return: naive UTC
    """
    local = now.replace(tzinfo=UTC).astimezone(zone)
    past = (local.hour * 60 + local.minute) % interval
    wall = local.replace(second=0, microsecond=0, tzinfo=None) - timedelta(minutes=past)
    moment = wall.replace(tzinfo=zone, fold=local.fold).astimezone(UTC).replace(tzinfo=None)
    # On the day of a clock change the wall's moment may lie ahead.
    return min(moment, now)


def begins_day(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether a moment begins a day of the zone; naive UTC. Where the clock leaps over midnight,
    the day begins later."""
    here, before = (
        at.replace(tzinfo=UTC).astimezone(zone).date()
        for at in (moment, moment - timedelta(seconds=1))
    )
    return here > before


@dataclass
class DueMeter:
    """What decides when a meter is read next. ``read_at``: the last reading, naive UTC."""

    key: int
    zone: ZoneInfo
    interval: int
    read_at: datetime | None
    asked_for: datetime | None = None


class Schedule:
    """Says once for each aligned moment that a meter is due. Missed moments are not made up for:
    only the latest counts."""

    def __init__(self):
        self._meters: dict[int, DueMeter] = {}
        self._groups: dict[tuple[ZoneInfo, int], list[DueMeter]] = {}
        self._done: dict[tuple[ZoneInfo, int], datetime] = {}

    def set_meters(self, meters: Iterable[DueMeter]) -> None:
        """Replace the meters; one that stays remembers what it was asked for."""
        new = {meter.key: meter for meter in meters}
        for key, meter in new.items():
            old = self._meters.get(key)
            if old is not None:
                meter.asked_for = old.asked_for
                if old.read_at and (meter.read_at is None or old.read_at > meter.read_at):
                    meter.read_at = old.read_at
        self._meters = new
        self._groups = {}
        for meter in new.values():
            self._groups.setdefault((meter.zone, meter.interval), []).append(meter)
        self._done = {}

    def has_read(self, key: int, moment: datetime) -> None:
        """Note a reading, whoever asked for it."""
        if key in self._meters:
            self._meters[key].read_at = moment

    def due(self, now: datetime) -> tuple[list[int], list[int]]:
        """Return the meters that have become due: those whose moment begins a day, and the others.

        Those that are read seldom come first in each, because their next reading is far.
        """
        at_midnight, others = [], []
        for group in sorted(self._groups, key=lambda group: -group[1]):
            moment = aligned(now, *group)
            if self._done.get(group) == moment:
                continue
            self._done[group] = moment
            keys = at_midnight if begins_day(moment, group[0]) else others
            for meter in self._groups[group]:
                latest = max(filter(None, (meter.read_at, meter.asked_for)), default=None)
                # A clock that was set back makes a later reading no reason not to read.
                if latest is None or latest < moment or latest > now:
                    meter.asked_for = moment
                    keys.append(meter.key)
        return at_midnight, others

    def forget(self, keys: Iterable[int]) -> None:
        """Ask for these again, because whoever was asked is gone."""
        for key in keys:
            if key in self._meters:
                self._meters[key].asked_for = None
        self._done = {}

    def pause(self, speed: float) -> float:
        """Real seconds until it is worth asking again, 0.02 to 1."""
        shortest = min((interval for _zone, interval in self._groups), default=30)
        return min(max(shortest * 60 / speed / 8, 0.02), 1.0) if speed > 0 else 1.0
