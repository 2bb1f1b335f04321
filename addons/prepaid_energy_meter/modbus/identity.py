"""Who a meter says it is: serial number, transformers' ratio, clock, encryption.

Asked seldom (once a day, and after the meter or its gateway was away), so that a reading stays as
short as it can be, and another meter at the address is noticed all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from .codec import Value
from .errors import CodecError
from .planning import Block
from .profile import Profile

#: How often a meter is asked.
EVERY = timedelta(days=1)
#: After how long it is asked again where something was not answered.
AGAIN = timedelta(hours=1)


@dataclass(frozen=True)
class Identity:
    """What a meter said of itself, as far as it has been asked.

    ``values`` by meaning; ``errors``: why a value is missing, by meaning; ``silent``: something was
    not answered at all; ``left``: blocks still to be read; ``clock``: the meter's own wall clock,
    ``clock_seen_at`` the caller's moment (naive UTC) at which it showed that.
    """

    left: tuple[Block, ...]
    values: Mapping[str, Value] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    clock: datetime | None = None
    clock_seen_at: datetime | None = None

    @property
    def is_done(self) -> bool:
        return not self.left

    @property
    def serial(self) -> str | None:
        """The serial number, or None where none could be read."""
        return str(self.values.get("serial") or "") or None

    @property
    def is_encrypted(self) -> bool:
        return self.values.get("encryption") is True


def is_due(asked_at: datetime | None, now: datetime) -> bool:
    """Whether a meter that was asked at ``asked_at`` is asked again (naive UTC)."""
    # A clock that was set back makes a later moment no reason not to ask.
    return asked_at is None or not asked_at <= now < asked_at + EVERY


def same_serial(one: str | None, other: str | None) -> bool:
    """Whether two serial numbers name one meter: zeros in front, spaces and case do not count."""
    return bare_serial(one) == bare_serial(other)


def bare_serial(serial: str | None) -> str:
    """A serial number without what does not tell meters apart."""
    return "".join((serial or "").split()).lstrip("0").upper()


def multiplier_of(profile: Profile, values: Mapping[str, Value]) -> Decimal | None:
    """CT x PT of a meter, None where it does not say it or nobody can be sure of the registers.

    A meter whose values have the ratio in them already says 1.
    """
    if profile.values == "primary":
        return Decimal(1)
    ct = _ratio(profile, values, "ct_ratio")
    if ct is None:
        return None
    if profile.named("pt_ratio") is None:
        return ct
    pt = _ratio(profile, values, "pt_ratio")
    return None if pt is None else ct * pt


def _ratio(profile: Profile, values: Mapping[str, Value], meaning: str) -> Decimal | None:
    register = profile.named(meaning)
    value = values.get(meaning)
    if register is None or register.certainty == "C" or not isinstance(value, Decimal):
        return None
    return value if value > 0 else None


def clock_of(data: bytes) -> datetime:
    """A meter's wall clock from its bytes: year of the century, month, day, weekday, hour, minute,
    second. The weekday is not looked at: devices differ in what they count.

    :raise CodecError: the bytes are no date and time
    """
    if len(data) != 7:
        raise CodecError(f"a clock has 7 bytes, not {len(data)}")
    year, month, day, _weekday, hour, minute, second = data
    try:
        return datetime(2000 + year, month, day, hour, minute, second)
    except ValueError as error:
        raise CodecError(f"no date and time: {data.hex(' ')} ({error})") from error
