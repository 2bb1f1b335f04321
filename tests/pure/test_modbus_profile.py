"""Profiles: the shipped ones hold what the sources say, faulty ones name their faults."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from modbus_fakes import METER

import modbus
from modbus.errors import ProfileError
from modbus.planning import Block
from modbus.profile import Profile

FOLDER = Path(modbus.__file__).parent.parent / "profiles"
FILES = sorted(FOLDER.glob("*.json"))


def load(name: str) -> Profile:
    return Profile.from_dict(json.loads((FOLDER / f"{name}.json").read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_profile_is_valid_and_named_like_its_file(file):
    profile = Profile.from_dict(json.loads(file.read_text()))
    assert profile.code == file.stem
    assert profile.source


def test_ddsy1352_is_as_its_manual_says():
    profile = load("acrel_ddsy1352")
    assert profile.poll_blocks == (Block(3, 0x0000, 0x11), Block(3, 0x0224, 2))
    total = profile.named("total")
    assert (total.address, total.encoding.scale, total.unit) == (0, Decimal("0.01"), "kWh")
    assert profile.named("power").encoding.type == "s16"
    # 0224 high byte bit 5 = relay L1 closed
    assert profile.control.state_of(0x2000) == "on"
    assert profile.control.state_of(0x0028) == "off"
    assert profile.allows_write(16, 0x0057, [1, 0])
    assert profile.allows_write(16, 0x0057, [1, 1])


@pytest.mark.parametrize("words", [[0, 0], [0, 1], [1], [1, 0, 0], [2, 0]])
def test_ddsy1352_is_never_released_to_its_own_prepaid_state(words):
    assert not load("acrel_ddsy1352").allows_write(16, 0x0057, words)


@pytest.mark.parametrize(("function", "address"), [(6, 0x0057), (16, 0x0058), (5, 0x0057)])
def test_other_functions_and_addresses_are_not_written(function, address):
    assert not load("acrel_ddsy1352").allows_write(function, address, [1, 0])


def test_valve_meter_is_one_read_of_28_registers():
    profile = load("kaifeng_xintai_valve")
    assert profile.poll_blocks == (Block(3, 0x0001, 28),)
    states = [profile.control.state_of(flags) for flags in (1, 2, 0, 3, 9)]
    assert states == ["on", "off", "moving", "unknown", "on"]


def test_only_blocks_of_the_map_are_read():
    profile = Profile.from_dict(METER)
    assert profile.allows_read(Block(3, 0, 3))
    assert profile.allows_read(Block(3, 16, 1))
    assert not profile.allows_read(Block(4, 0, 3))
    assert not profile.allows_read(Block(3, 0, 17))
    assert not profile.allows_read(Block(3, 40, 1))
    assert not profile.allows_read(Block(3, 0, 4))


def changed(path, value):
    data = json.loads(json.dumps(METER))
    place = data
    for key in path[:-1]:
        place = place[key]
    if value is None:
        place.pop(path[-1])
    else:
        place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["commodity"], "gas", "unknown commodity 'gas'"),
        (["certainty"], "D", "unknown certainty 'D'"),
        (["source"], None, "no source"),
        (["code"], " ", "no code"),
        (["colour"], "red", "profile: unknown key 'colour'"),
        (["max_block"], 126, "max_block 126 is not within 1..125"),
        (["read_functions"], [3, 5], "read_functions: only [3, 4] are known"),
        (["read_functions"], [], "read_functions: at least one is needed"),
        (["write_functions"], [], "function 16 is not among the write functions"),
        (["registers"], [], "no polled register means the total"),
        (["registers", 0, "type"], "u33", "register 1 (total): unknown type 'u33'"),
        (["registers", 0, "meaning"], "sum", "register 1 (sum): unknown meaning 'sum'"),
        (["registers", 0, "address"], "12z", "register 1 (total): address '12z' is not within"),
        (["registers", 0, "address"], 0xFFFF, "runs past the last address"),
        (["registers", 0, "words"], 3, "u32 has 2 registers, not 3"),
        (["registers", 0, "scale"], 0.01, "scale must be a number in quotes, not 0.01"),
        (["registers", 0, "scale"], "0", "a scale of zero"),
        (["registers", 0, "scale"], "NaN", "scale must be a number"),
        (["registers", 0, "unit"], "Wh", "the unit is kWh, not Wh"),
        (["registers", 0, "unit"], None, "the unit is kWh, not None"),
        (["registers", 0, "function"], 4, "function 4 is not among the read functions"),
        (["registers", 0, "word_order"], "ACBD", "unknown word_order 'ACBD'"),
        (["registers", 1, "meaning"], "total", "total is given to more than one register"),
        (["registers", 2, "meaning"], "pipe", "no register means the supply state"),
        (["control", "on"], [1, 1], "on and off write the same words"),
        (["control", "on"], [], "on must be a list of 1 to 123 words"),
        (["control", "on"], [70000, 0], "on 70000 is not within 0..65535"),
        (["control", "release"], [0, 0], "control: unknown key 'release'"),
        (["control", "states", 0, "state"], "open", "unknown state 'open'"),
        (["control", "states", 0, "value"], 8, "the value has bits outside its mask"),
        (["control", "poll"], "0", "0 < poll <= settle"),
        (["control"], None, "write functions without a control"),
    ],
)
def test_fault_is_named_with_its_place(path, value, message):
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict(changed(path, value))
    assert message in str(caught.value)


def test_every_fault_is_named_at_once():
    data = changed(["commodity"], "gas")
    data["registers"][0]["type"] = "u33"
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict(data)
    assert len(caught.value.problems) >= 2


@pytest.mark.parametrize(
    ("state", "control", "trip"),
    [
        (0x2000, 0x0000, None),
        (0x0000, 0x0000, None),
        (0x0009, 0x0000, None),
        (0x0010, 0x0000, "overload"),
        (0x2010, 0x0000, None),
        (0x0008, 0x0100, "load_control"),
        (0x0008, 0x0001, None),
        (0x0020, 0x0000, "own_prepaid"),
        (0x0028, 0x0000, None),
        (0x0030, 0x0000, "overload"),
    ],
)
def test_trip_is_told_with_its_cause(state, control, trip):
    """On: none. Forced off by the platform beside its own arrears: none. Protection goes first."""
    values = {"supply_state": state, "load_control": control}
    for code in ("acrel_ddsy1352", "acrel_dtsy1352"):
        flags = state if code.startswith("acrel_dd") or not state & 0x2000 else state | 0xE000
        assert load(code).trip_of({**values, "supply_state": flags}) == trip


def test_valve_reports_what_is_wrong_with_it():
    profile = load("kaifeng_xintai_valve")
    assert profile.alarms_of({"supply_state": 0x000E}) == ("fault", "low_battery")
    assert profile.alarms_of({"supply_state": 0x0001}) == ()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"cause": "lightning"}, "trips 1: unknown cause 'lightning'"),
        ({"register": "clock"}, "trips 1: unknown register 'clock'"),
        ({"register": "total"}, "trips 1: total is not a polled u16"),
        ({"mask": 0}, "trips 1: mask 0 is not within"),
        ({"value": 1}, "trips 1: the value has bits outside its mask"),
    ],
)
def test_flag_rule_that_cannot_be_is_named(rule, message):
    rules = [{"cause": "overload", "register": "supply_state", "mask": 16, **rule}]
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict({**METER, "trips": rules})
    assert any(message in problem for problem in caught.value.problems)
