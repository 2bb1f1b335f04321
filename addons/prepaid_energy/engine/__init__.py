"""Rating without a database: from register readings to exact money.

Values in, values out; nothing of Odoo is imported here, so that every rule can be tested in
milliseconds. Units and conventions of the whole package:

- moments are naive ``datetime`` in UTC, zones are ``zoneinfo.ZoneInfo``;
- quantities (kWh or m3) and money are ``Decimal``, exact unless a function says it rounds;
- prices are gross, in currency per unit;
- bad input raises ``ValueError`` with a sentence that names it.
"""

from .acceptance import ACCEPTED, Limits, Verdict, judge
from .advances import Advances, match, settle_open
from .chinese_amount import chinese_amount
from .credit import Decision, Facts, Terms, decide
from .day_types import DAY_TYPES, Calendar
from .rating import Line, RatedUnit, rate, rate_untiered
from .registers import band_steps, split_by_registers
from .review import History, Refusal, Row
from .rounding import largest_remainder, round_half_up, share_signed
from .shaping import estimate, shaped
from .splitting import (
    Cell,
    Edge,
    Point,
    Span,
    edges,
    interpolate,
    local_date,
    local_midnight,
    split,
)
from .standing import minimum_due, standing
from .switching import (
    Cut,
    CutLimits,
    Pause,
    Trip,
    Waiting,
    crowds,
    may_be_crowd,
    pause_before_off,
    turns,
)
from .tariff import TariffVersion, TierSeason, Window, plan_rows
from .tariff_check import SEASON, SENTENCES, Problem
from .tier_period import tier_period_end, tier_period_start, unit_limits

__all__ = [
    "DAY_TYPES",
    "SEASON",
    "SENTENCES",
    "Advances",
    "Calendar",
    "Cell",
    "Cut",
    "CutLimits",
    "Decision",
    "Edge",
    "Facts",
    "History",
    "Limits",
    "Line",
    "Pause",
    "Point",
    "Problem",
    "RatedUnit",
    "Refusal",
    "Row",
    "Span",
    "TariffVersion",
    "Terms",
    "TierSeason",
    "Trip",
    "Verdict",
    "Waiting",
    "Window",
    "band_steps",
    "chinese_amount",
    "crowds",
    "decide",
    "edges",
    "estimate",
    "interpolate",
    "judge",
    "largest_remainder",
    "local_date",
    "local_midnight",
    "match",
    "may_be_crowd",
    "minimum_due",
    "pause_before_off",
    "plan_rows",
    "rate",
    "rate_untiered",
    "round_half_up",
    "settle_open",
    "shaped",
    "share_signed",
    "split",
    "split_by_registers",
    "standing",
    "tier_period_end",
    "tier_period_start",
    "turns",
    "unit_limits",
]
