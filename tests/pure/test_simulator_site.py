"""The site file: what it makes, what it refuses, and the state kept over a restart."""

import json
from fractions import Fraction

import pytest
from simulator_helpers import frame, frozen_clock, site_value

from simulator.site import SiteError, build_site, load_site


def changed(path, value):
    """The valid site with one thing changed: path of keys, ... deletes it."""
    site = site_value()
    *way, last = path
    part = site
    for key in way:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return site


METER = ("gateways", 0, "meters", 0)
VALVE = ("gateways", 0, "meters", 1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("start",), ..., "site.start: is missing"),
        (("start",), "yesterday", "site.start: Invalid isoformat"),
        (("gateways",), [], "site.gateways: is empty"),
        (("gateways",), {}, "site.gateways: {} is not of type list"),
        (("colour",), 1, "site.colour: is unknown here"),
        (("day_plan",), [["24:61", "flat"]], 'is not ["HH:MM"'),
        (("day_plan",), [["00:00", "dear"]], 'is not ["HH:MM"'),
        (("day_plan",), [["01:00", "flat"]], "does not start at 00:00"),
        (("gateways", 1), 5, "gateways[1]: an object is expected"),
        (("gateways", 0, "port"), True, "gateways[0].port: True is not of type int"),
        (("gateways", 0, "port"), 70000, "70000 is not in 0 to 65535"),
        (("gateways", 0, "baud"), 5, "gateways[0].baud: 5 is not in 300 to"),
        (("gateways", 0, "baud"), "9600", "'9600' is not of type int | None"),
        ((*METER, "unit"), 300, "gateways[0].meters[0].unit: 300 is not in 1 to 247"),
        ((*VALVE, "unit"), 1, "gateways[0].meters[1].unit: 1 stands twice"),
        (
            (*METER, "type"),
            "dtsy",
            "'dtsy' is none of ddsy1352, dtsy1352, kaifeng_valve, registers",
        ),
        ((*METER, "serial"), "123456789012345", "longer than 14 characters"),
        ((*METER, "serial"), "电表", "not printable ASCII"),
        ((*METER, "serial"), "W0001", "'W0001' is also that of gateways[0].meters[0]"),
        ((*METER, "register"), 123.45, "123.45 is not of type str"),
        ((*METER, "register"), "-1", "no number from 0 up"),
        ((*METER, "register"), "NaN", "no number from 0 up"),
        ((*METER, "register"), "1000000", "does not fit the counter"),
        ((*METER, "scale"), "many", "'many' is no decimal number"),
        ((*METER, "scale"), "10", "exceeds the 32767 W"),
        ((*METER, "supply"), "open", "'open' is none of on, off"),
        ((*METER, "curve"), "building_18", "'building_18' is none of building_1,"),
        ((*METER, "curve"), "water_flat_1", "in m³, no use for ddsy1352"),
        ((*METER, "valve_seconds"), 5, "meters[0].valve_seconds: is unknown here"),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_reason(path, value, message):
    with pytest.raises(SiteError) as caught:
        build_site(changed(path, value), frozen_clock())
    assert message in str(caught.value)


def test_the_same_port_twice():
    site = changed(("gateways", 0, "port"), 15020)
    site["gateways"][1]["port"] = 15020
    with pytest.raises(SiteError, match=r"gateways\[1\].port: 15020 is also that of gateways\[0\]"):
        build_site(site, frozen_clock())


def test_no_json(tmp_path):
    path = tmp_path / "site.json"
    path.write_text("{")
    with pytest.raises(SiteError, match="no JSON"):
        load_site(path, frozen_clock())


def test_a_day_plan_of_its_own():
    site = build_site(
        site_value(day_plan=[["00:00", "valley"], ["08:30", "sharp"]]), frozen_clock()
    )
    _gateway, _unit, meter = site.meters()[0]
    plan = meter.read(3, 0x2006, 21, site.clock.second())
    assert plan[:9].hex(" ", 3) == "040000 011e08 000000"


def test_options_reach_the_gateway():
    site = changed(("gateways", 0), {**site_value()["gateways"][0], "baud": 9600})
    one, two = build_site(site, frozen_clock()).gateways
    assert (one.baud, one.turnaround, one.timeout) == (9600, 0.02, 1.0)
    assert two.baud is None


def settled(site, seconds=0):
    site.clock.step(seconds)
    for _gateway, _unit, meter in site.meters():
        meter.settle(site.clock.second())
    return [(meter.report(), meter.shown(), meter.exact()) for _g, _u, meter in site.meters()]


def test_state_survives_a_restart(tmp_path):
    """A site that was switched, stopped and started again stands where one that ran on stands."""
    state = tmp_path / "state.jsonl"
    site = build_site(site_value(), frozen_clock())
    site.keep_state(state)
    gateway = site.gateways[0]
    for step, request in (
        (5000, frame("10 0057 0002 04 0001 0001", 1)),
        (100, frame("06 001c 0002", 2)),
        (20000, frame("10 0057 0002 04 0001 0000", 1)),
    ):
        site.clock.step(step)
        assert not gateway.execute(request)[7] & 0x80
    ran_on = settled(site, 40000)
    moment = site.clock.moment()
    site.close()

    again = build_site(site_value(), frozen_clock(moment))
    again.keep_state(state)
    assert settled(again) == ran_on
    assert ran_on[1][2] - Fraction("10.5") > 0
    again.gateways[0].execute(frame("06 001c 0001", 2))
    again.close()
    assert len(state.read_text().splitlines()) == 1 + 4


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path):
    state = tmp_path / "state.jsonl"
    start = build_site(site_value(), frozen_clock()).start
    state.write_text(json.dumps({"start": start}) + '\n{"serial": "W0001", "sec')
    site = build_site(site_value(), frozen_clock())
    site.keep_state(state)
    site.gateways[0].execute(frame("06 001c 0002", 2))
    site.close()
    assert [json.loads(line) for line in state.read_text().splitlines()] == [
        {"start": start},
        {"serial": "W0001", "second": start, "command": "close"},
    ]


def test_the_state_of_another_site_is_refused(tmp_path):
    state = tmp_path / "state.jsonl"
    site = build_site(site_value(), frozen_clock())
    site.keep_state(state)
    site.gateways[1].execute(frame("10 0057 0002 04 0001 0000", 1))
    site.close()
    with pytest.raises(SiteError, match="another start"):
        build_site(site_value(start="2026-01-01"), frozen_clock()).keep_state(state)
    other = site_value()
    other["gateways"][1]["meters"][0]["serial"] = "X"
    with pytest.raises(SiteError, match="no such meter"):
        build_site(other, frozen_clock()).keep_state(state)
