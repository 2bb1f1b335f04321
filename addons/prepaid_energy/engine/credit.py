"""Whether the balance wants a supply on or off, and why."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_MODES = ("prepaid", "held_on", "forced_off")
_SITE_STATES = ("watch", "trial", "live")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Terms:
    """Thresholds on what is available: balance + overdraft.

    At ``cut_off`` and below the supply goes off, above ``restore`` (not below ``cut_off``) it comes
    back; between the two nothing changes. ``step`` is the currency's smallest unit.
    """

    cut_off: Decimal
    restore: Decimal
    overdraft: Decimal
    step: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        if not self.restore >= self.cut_off:
            raise ValueError(
                f"The restore threshold {self.restore} is below the cut-off threshold "
                f"{self.cut_off}."
            )
        if not self.overdraft >= 0:
            raise ValueError(f"The overdraft must be zero or more, not {self.overdraft}.")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one supply when its balance is looked at.

    ``wanted`` is the state ordered last (None: never), ``wanted_cause`` who wanted it: "arrears",
    "payment", "person", "policy". ``fresh`` is False where the last accepted reading is too old,
    ``held`` is True where a held reading waits for a person, ``estimated`` where an estimate
    charged part of the balance. ``commissioned`` is False until somebody has signed that this is
    the meter of this room: till then the balance cuts nobody. ``in_trial`` counts in site state
    "trial" only. ``postpaid`` is paid by bill: the balance neither cuts it nor keeps it off.

    A person who returns a supply to prepaid hands it to the balance: mode "prepaid", and a supply
    that is off is from then on off for "arrears".
    """

    balance: Decimal
    mode: str
    wanted: str | None
    wanted_cause: str
    protected: bool
    site_state: str
    in_trial: bool
    fresh: bool
    held: bool
    switchable: bool
    postpaid: bool = False
    estimated: bool = False
    commissioned: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """``wanted``: order "on" or "off", or None: no order.

    ``reason`` is one of "enough", "arrears" (off), "restored" (on), "already" (off for arrears and
    stays so), "postpaid", "held_on", "forced_off" (off by a person or another cause than arrears:
    money does not turn it on), "protected", "not_switchable", "not_commissioned",
    "held_reading", "estimated", "stale", "would_cut_watch", "would_cut_trial". ``missing`` is the
    smallest payment that would bring the supply back, or, while it is on, would take it out of the
    reach of a cut; 0 where none is missing.
    """

    wanted: str | None
    reason: str
    missing: Decimal


def decide(terms: Terms, facts: Facts) -> Decision:
    """Decide on a supply. Money turns on only what arrears turned off, and nothing is cut on doubt.

    Turning on is never stopped by doubt, protection or the site's state. A supply between the two
    thresholds stays as it is.
    """
    if facts.mode not in _MODES:
        raise ValueError(f"The mode {facts.mode!r} is unknown.")
    if facts.site_state not in _SITE_STATES:
        raise ValueError(f"The site state {facts.site_state!r} is unknown.")
    if facts.wanted not in ("on", "off", None):
        raise ValueError(f"The wanted state {facts.wanted!r} is unknown.")
    if facts.mode != "prepaid":
        return Decision(None, facts.mode, _ZERO)
    if facts.postpaid:
        return _while_postpaid(facts)
    available = facts.balance + terms.overdraft
    if facts.wanted == "off":
        return _while_off(terms, facts, available)
    return _while_on(terms, facts, available)


def _while_postpaid(facts: Facts) -> Decision:
    if facts.wanted != "off":
        return Decision(None, "postpaid", _ZERO)
    if facts.wanted_cause != "arrears":
        return Decision(None, "forced_off", _ZERO)
    if not facts.switchable:
        return Decision(None, "not_switchable", _ZERO)
    return Decision("on", "restored", _ZERO)


def _while_off(terms: Terms, facts: Facts, available: Decimal) -> Decision:
    missing = _missing(available, terms.restore, terms.step)
    if facts.wanted_cause != "arrears":
        return Decision(None, "forced_off", missing)
    if missing:
        return Decision(None, "already", missing)
    if not facts.switchable:
        return Decision(None, "not_switchable", _ZERO)
    return Decision("on", "restored", _ZERO)


def _while_on(terms: Terms, facts: Facts, available: Decimal) -> Decision:
    missing = _missing(available, terms.cut_off, terms.step)
    if not missing:
        return Decision(None, "enough", _ZERO)
    if facts.protected:
        reason = "protected"
    elif not facts.switchable:
        reason = "not_switchable"
    elif not facts.commissioned:
        reason = "not_commissioned"
    elif facts.held:
        reason = "held_reading"
    elif facts.estimated:
        reason = "estimated"
    elif not facts.fresh:
        reason = "stale"
    elif facts.site_state == "watch":
        reason = "would_cut_watch"
    elif facts.site_state == "trial" and not facts.in_trial:
        reason = "would_cut_trial"
    else:
        return Decision("off", "arrears", _missing(available, terms.restore, terms.step))
    return Decision(None, reason, missing)


def _missing(available: Decimal, threshold: Decimal, step: Decimal) -> Decimal:
    """Return the smallest payment that brings what is available above a threshold."""
    return _ZERO if available > threshold else threshold - available + step
