"""The tariff templates: whole, sourced, and the provincial plans as the notices print them.

`data/windows_2025.json` is the plans' independent copy: windows of 13 provinces, transcribed from
the notes under the grid companies' monthly price tables; in a season, bands listed later override
earlier ones, and "rest" is the band of every hour not named. Its notes on special days ("days") are
read here by hand (`ON_SPECIAL_DAYS`).
"""

import functools
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import tariff_templates
from engine_cases import every_day

from engine import Calendar, TariffVersion, TierSeason, Window

PLANS = {
    plan["area"].split()[0]: plan
    for plan in json.loads(
        (Path(__file__).parent / "data" / "windows_2025.json").read_text(encoding="utf-8")
    )["tariffs"]
}
TEMPLATES = tariff_templates.templates()
KEYS = {
    *("sharp", "peak", "flat", "valley", "deep_valley"),
    *("other_1", "other_2", "other_3"),
}
# Rate periods of a price of their own in some months, and what the notice calls them.
STANDS_FOR = {
    "Shanghai": {"other_1": "peak", "other_2": "valley"},
    "Hubei": {"other_1": "sharp", "other_2": "valley"},
}
EVERY = range(1, 13)
# What holds on special days on top of the seasons: (kind of day, months, band, minutes).
ON_SPECIAL_DAYS = {
    # Rest days of February to June and September to November (tariffs of the notice of 2022).
    "Shanghai": [
        (kind, (2, 3, 4, 5, 6, 9, 10, 11), "deep", range(*span))
        for kind in ("weekend", "holiday")
        for span in ((0, 360), (1320, 1440))
    ],
    # Other days on which Guangzhou reaches 35 °C get the sharp windows of July.
    "Guangdong": [
        ("declared", EVERY, "sharp", range(660, 720)),
        ("declared", EVERY, "sharp", range(900, 1020)),
    ],
    "Zhejiang": [("holiday", EVERY, "deep", range(600, 840))],
    "Anhui": [("holiday", EVERY, "deep", range(660, 900))],
    "Jiangxi": [("holiday", EVERY, "deep", range(720, 840))],
}
LARGE_INDUSTRY = [
    *[("all", (7, 8), "sharp", range(*span)) for span in ((780, 840), (1260, 1380))],
    *[("declared", EVERY, "sharp", range(*span)) for span in ((780, 840), (1260, 1380))],
]
CASES = {
    **{f"cn_{area.lower()}_business": area for area in PLANS},
    "cn_sichuan_large_industry": "Sichuan",
}


def minute(clock):
    hour, part = clock.split(":")
    return int(hour) * 60 + int(part)


def painted(code, month, kind, declared):
    """Return the band of each minute of a day, painted minute by minute from the notice."""
    area = CASES[code]
    (season,) = (season for season in PLANS[area]["seasons"] if month in season["months"])
    day = [season.get("rest")] * 1440
    for band, spans in season.items():
        if band in ("months", "rest"):
            continue
        for span in spans:
            start, end = map(minute, span.split("-"))
            for position in range(start, start + ((end - start) % 1440 or 1440)):
                day[position % 1440] = band
    special = LARGE_INDUSTRY if code.endswith("industry") else ON_SPECIAL_DAYS.get(area, [])
    for on, months, band, minutes in special:
        if month in months and (on in ("all", kind) or (on == "declared" and declared)):
            for position in minutes:
                day[position] = band
    return day


def version(template):
    """Return the engine's version of a template."""
    windows = tuple(
        Window(
            band,
            months_of(months),
            frozenset({days}) if days in ("weekend", "holiday", "workday") else every_day_types(),
            start,
            end,
            declared_only=days == "declared",
        )
        for band, months, days, start, end in tariff_templates.windows(template)
    )
    seasons = {}
    for _number, months, limit, _adder in tariff_templates.tiers(template):
        seasons.setdefault(months, []).append(Decimal(limit))
    rows = {months: tuple(limits[:-1]) for months, limits in seasons.items()}
    values = template.get("tariff", {})
    bands = [band["key"] for band in template["bands"]]
    (rest,) = [band["key"] for band in template["bands"] if band.get("is_rest")] or [None]
    return TariffVersion(
        1,
        tuple(bands),
        windows,
        rest,
        rows.get((1, 12), ()),
        {
            (band, tier): Decimal(1)
            for band in bands
            for tier in range(1, 2 + max((len(row) for row in rows.values()), default=0))
        },
        values.get("tier_period", "month"),
        tier_year_month=values.get("tier_year_month", 1),
        tier_year_day=values.get("tier_year_day", 1),
        tier_seasons=tuple(
            TierSeason(months_of(months), limits)
            for months, limits in rows.items()
            if months != (1, 12)
        ),
        calendar=Calendar(),
    )


def months_of(months):
    first, last = months
    if first <= last:
        return frozenset(range(first, last + 1))
    return frozenset(EVERY) - frozenset(range(last + 1, first))


def every_day_types():
    return every_day("flat", 0, 24).day_types


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("year", [2025, 2028])
def test_provincial_plans_cover_each_minute_of_the_year_once(code, year):
    """Each minute of each day, of every kind, has exactly the band that the notice names."""
    template = TEMPLATES[code]
    assert template["document"] == PLANS[CASES[code]]["area"].split()[-1]
    plan = version(template)
    names = {"deep_valley": "deep", **STANDS_FOR.get(CASES[code], {})}

    @functools.cache
    def covered(rows):
        return [names.get(band, band) for start, end, band in rows for _ in range(start, end)]

    expected = {
        (month, kind, declared): painted(code, month, kind, declared)
        for month in EVERY
        for kind in ("workday", "weekend", "holiday")
        for declared in (False, True)
    }
    days, day = 0, date(year, 1, 1)
    while day.year == year:
        weekday = "weekend" if day.weekday() >= 5 else "workday"
        for kind in (weekday, "holiday"):
            for declared in (False, True):
                rows = plan.day_plan(day.month, kind, declared)
                assert [rows[0][0], rows[-1][1]] == [0, 1440]
                assert covered(rows) == expected[day.month, kind, declared], (day, kind)
        days += 1
        day += timedelta(1)
    assert days == (366 if year == 2028 else 365)


def test_all_thirteen_provinces_are_there():
    assert len(PLANS) == 13
    assert set(CASES) <= set(TEMPLATES)


def test_a_moved_window_is_noticed():
    """The comparison above sees a valley that begins half an hour late."""
    template = json.loads(json.dumps(TEMPLATES["cn_heilongjiang_business"]))
    template["windows"][-1]["times"] = ["12:00-14:00", "23:30-06:00"]
    rows = version(template).day_plan(1, "workday")
    found = [band for start, end, band in rows for _minute in range(start, end)]
    assert found != painted("cn_heilongjiang_business", 1, "workday", False)


@pytest.mark.parametrize("code", TEMPLATES)
def test_templates_are_whole(code):
    """Every template has its texts in both languages, its source, and nothing that no one reads."""
    template = TEMPLATES[code]
    assert set(template) <= {
        *("code", "name", "country", "customers", "commodity", "currency", "document", "source"),
        *("source_date", "source_url", "certainty", "remarks", "tariff", "version", "bands"),
        *("windows", "tiers", "tier_adders", "prices", "fees"),
    }
    texts = [template["name"], template["source"], template["remarks"]]
    texts += [row["name"] for row in (*template["bands"], *template.get("fees", ()))]
    for text in texts:
        assert text["en"] and text["zh"]
    assert template["certainty"] in tariff_templates.CERTAINTIES
    assert template["customers"] in ("household", "business")
    keys = [band["key"] for band in template["bands"]]
    assert set(keys) <= KEYS and len(keys) == len(set(keys))
    assert set(template.get("prices", {})) <= set(keys)
    assert version(template).check() == []
    if template.get("prices"):
        tiers = version(template).tiers
        assert {key: len(row) for key, row in template["prices"].items()} == dict.fromkeys(
            keys, len(tiers)
        )
    if "memory" in template["remarks"]["en"]:
        assert template["certainty"] == "partly_memory"


def test_numbers_of_templates_differ():
    assert len({tariff_templates.template_id(code) for code in TEMPLATES}) == len(TEMPLATES)


def test_months_become_ranges():
    ranges = tariff_templates.month_ranges
    assert ranges(EVERY) == [(1, 12)]
    assert ranges([1, 12]) == [(12, 1)]
    assert ranges([2, 3, 4, 5, 6, 9, 10, 11]) == [(2, 6), (9, 11)]
    assert ranges([11, 12, 1, 2, 3, 4, 7]) == [(7, 7), (11, 4)]
    assert ranges([1, 2, 3, 4, 5, 6, 9, 10, 11, 12]) == [(9, 6)]


def test_tier_years_and_seasons_are_those_of_the_notices():
    guizhou = version(TEMPLATES["cn_guizhou_household"])
    assert (guizhou.tier_period, guizhou.tier_year_month, guizhou.tier_year_day) == ("year", 12, 1)
    shenzhen = version(TEMPLATES["cn_shenzhen_household"])
    assert [shenzhen.limits(month)[0] for month in (4, 5, 10, 11)] == [200, 260, 260, 200]
    yunnan = version(TEMPLATES["cn_yunnan_household"])
    assert [len(yunnan.limits(month)) for month in EVERY] == [2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 2]
