"""Any WARNING, ERROR or CRITICAL line in Odoo's log fails a run, unless it is let through here."""

import re
from collections.abc import Iterable
from typing import NamedTuple

LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (?P<level>[A-Z]+) \S+ (?P<logger>\S+?):"
    r" (?P<message>.*)$"
)
# Output of Python's warnings module that went past the log.
RAW_WARNING = re.compile(r"^\S+\.py:\d+: \w*Warning: ")


class Allowed(NamedTuple):
    """One known line: its logger, a pattern its message matches, and why it is harmless."""

    logger: str
    message: str
    reason: str


ALLOWED = (
    Allowed(
        "odoo.sql_db",
        r"bad query: .*CREATE EXTENSION IF NOT EXISTS pg_trgm",
        "the embedded PostgreSQL has no pg_trgm; Odoo does without it",
    ),
    Allowed(
        "odoo.service.db",
        r"Unable to create PostgreSQL extensions.*pg_trgm",
        "the embedded PostgreSQL has no pg_trgm; Odoo does without it",
    ),
    Allowed(
        "odoo.addons.base.models.assetsbundle",
        r".*Could not get content for mail/static/lib/selfie_segmentation/selfie_segmentation\.js",
        "an Odoo that Debian installed lacks this script; only blurred video calls use it",
    ),
)
BAD_LEVELS = frozenset({"WARNING", "ERROR", "CRITICAL"})


def is_allowed(logger: str, message: str) -> bool:
    """Whether a line of at least WARNING is on the list."""
    return any(
        logger == allowed.logger and re.match(allowed.message, message, re.DOTALL)
        for allowed in ALLOWED
    )


def complaints(lines: Iterable[str]) -> list[str]:
    """The lines of an Odoo log that must not be there, each with the traceback below it."""
    found: list[list[str]] = []
    is_below = False
    for line in lines:
        if parsed := LINE.match(line):
            is_below = parsed["level"] in BAD_LEVELS and not is_allowed(
                parsed["logger"], parsed["message"]
            )
            if is_below:
                found.append([line])
        elif is_below:
            found[-1].append(line)
        elif RAW_WARNING.match(line):
            found.append([line])
    return ["\n".join(entry) for entry in found]
