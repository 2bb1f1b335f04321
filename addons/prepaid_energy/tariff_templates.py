"""The tariff templates in data/tariff_templates: real tariffs as data, each with its source.

A file is a list of objects; docs/tariffs.md says what they hold. Amounts are texts.
"""

import functools
import json
import zlib
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "tariff_templates"
EVERY_MONTH = tuple(range(1, 13))
DAYS = ("all", "workday", "weekend", "holiday", "declared")
CERTAINTIES = ("official", "two_sources", "one_source", "partly_memory")


@functools.cache
def templates() -> dict[str, dict]:
    """Return the templates by code."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        for template in json.loads(path.read_text(encoding="utf-8")):
            if template["code"] in found:
                raise ValueError(f"Two tariff templates have the code {template['code']!r}.")
            found[template["code"]] = template
    return found


def template_id(code: str) -> int:
    """Return the number of a template, the same in every database."""
    return zlib.crc32(code.encode()) & 0x7FFFFFFF


def text(value: str | dict[str, str], lang: str | None) -> str:
    """Return a text in Chinese where that is the language, else in English."""
    if isinstance(value, str):
        return value
    return value["zh" if (lang or "").startswith("zh") else "en"]


def languages(value: dict[str, str]) -> dict[str, str]:
    """Return a text as translated fields keep it."""
    return {"en_US": value["en"], "zh_CN": value["zh"]}


def needs_prices(template: dict) -> bool:
    """Tell whether the prices of a template are left to be filled in."""
    return not template.get("prices") and not template.get("version", {}).get("base_price")


def month_ranges(months) -> list[tuple[int, int]]:
    """Return months (1..12) as ranges, both ends included; one may run over the year's end."""
    months = sorted(set(months))
    if tuple(months) == EVERY_MONTH:
        return [(1, 12)]
    ranges = []
    for month in months:
        if ranges and ranges[-1][1] == month - 1:
            ranges[-1] = (ranges[-1][0], month)
        else:
            ranges.append((month, month))
    if len(ranges) > 1 and ranges[0][0] == 1 and ranges[-1][1] == 12:
        first, last = ranges.pop(0), ranges.pop()
        ranges.append((last[0], first[1]))
    return ranges


def windows(template: dict) -> list[tuple[str, tuple[int, int], str, int, int]]:
    """Return a template's windows in the order in which later ones cut into earlier ones.

    :return: list of (band key, (first month, last month), day type, first minute, minute after the
        last, at most 1440); an end at or before the start is of the next morning
    """
    return [
        (window["band"], months, days, *_minutes(times))
        for window in template["windows"]
        for months in month_ranges(window.get("months", EVERY_MONTH))
        for days in window.get("days", ("all",))
        for times in window["times"]
    ]


def tiers(template: dict) -> list[tuple[int, tuple[int, int], str, str]]:
    """Return a template's tiers as (number, (first month, last month), limit, adder).

    The limit of the last tier of a season, which is open, is "0".
    """
    adders = ["0", *template.get("tier_adders", ())]
    rows = []
    for season in template.get("tiers", ()):
        limits = [*season["limits"], "0"]
        for months in month_ranges(season.get("months", EVERY_MONTH)):
            for number, limit in enumerate(limits, 1):
                adder = adders[number - 1] if number <= len(adders) else "0"
                rows.append((number, months, limit, adder))
    return rows


def converted(amount: str, rate: Decimal) -> float:
    """Return an amount times a rate, half up to six decimals, as forms take it."""
    exact = Decimal(amount) * rate
    return float(exact.quantize(Decimal("0.000001"), ROUND_HALF_UP))


def _minutes(times: str) -> tuple[int, int]:
    start, end = (
        int(hour) * 60 + int(minute)
        for hour, minute in (clock.split(":") for clock in times.split("-"))
    )
    return start, end
