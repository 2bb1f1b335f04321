"""The simulator as a process of its own: control port, command line, and independent clients."""

import json
import socket
import struct
import subprocess
import sys
from datetime import datetime
from fractions import Fraction

import pytest
from pymodbus.client import ModbusTcpClient
from simulator_helpers import START, site_value

from simulator.control import ControlError
from simulator.load import curves, energy
from simulator.process import PACKAGE, running

LATER = datetime(2026, 3, 4, 5, 6, 7)
FROZEN = ("--clock-anchor", START.isoformat(), "--clock-speed", "0")


@pytest.fixture
def control(tmp_path):
    path = tmp_path / "site.json"
    path.write_text(json.dumps(site_value()))
    with running(path, *FROZEN) as control:
        yield control


def command_line(control, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments, "--control", str(control.port)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_control_round_trip(control):
    one, two = control.list()
    assert [meter["serial"] for meter in one["meters"]] == ["26030200000001", "W0001"]
    assert one["meters"][0] == {
        "unit": 1,
        "type": "ddsy1352",
        "serial": "26030200000001",
        "curve": "building_3",
        "scale": "1/2",
        "offset_hours": 8,
    }
    assert two["port"] not in (0, one["port"])

    assert control.clock() == {"now": START.isoformat(), "speed": "0", "followed": False}
    assert control.step_clock(90)["now"] == "2026-03-02T00:01:30"
    assert control.set_clock(LATER)["now"] == LATER.isoformat()

    expected = Fraction("123.45") + energy(curves()["building_3"], "0.5", START, LATER, 8)
    power, water, off = control.registers()
    assert Fraction(power["exact"]) == expected
    assert 0 <= expected - Fraction(power["register"]) < Fraction(1, 100)
    assert (power["at"], power["unit_of_measure"]) == (LATER.isoformat(), "kWh")
    assert set(power) >= {"sharp", "peak", "flat", "valley"}
    assert Fraction(water["used"]) == energy(curves()["water_flat_1"], 1, START, LATER)
    assert (off["used"], off["register"]) == ("0", "0.00")

    assert [(r["serial"], r["supply"], r["state"]) for r in control.relay()] == [
        ("26030200000001", "on", "forced on"),
        ("W0001", "on", "open"),
        ("26030200000002", "off", "forced off"),
    ]
    assert len(control.relay("W0001")) == 1

    number = control.add_fault(one["port"], "delay", unit=2, count=3, ms=10)
    assert control.faults() == [
        {
            "gateway": one["port"],
            "id": number,
            "kind": "delay",
            "unit": 2,
            "ms": 10,
            "left": 3,
            "seconds_left": None,
            "hits": 0,
        }
    ]
    assert control.clear_faults(id=number) == 1
    assert control.faults() == []
    assert [stats["requests"] for stats in control.stats()] == [0, 0]


def test_control_refuses_in_words(control):
    with pytest.raises(ControlError, match="no meter with serial number 'nobody'"):
        control.relay("nobody")
    with pytest.raises(ControlError, match="no gateway on port 1"):
        control.add_fault(1, "silence")
    with pytest.raises(ControlError, match="no unit 7"):
        control.add_fault(control.list()[0]["port"], "silence", unit=7)
    with pytest.raises(ControlError, match="'dance' is none of"):
        control.call("dance")
    with pytest.raises(ControlError, match="goes back"):
        control.step_clock(-1)
    with pytest.raises(ControlError, match="unexpected keyword"):
        control.call("list", colour="red")


def test_pymodbus_switches_and_reads_back(control):
    port = control.list()[0]["port"]
    with ModbusTcpClient("127.0.0.1", port=port) as client:
        assert not client.write_registers(0x0057, [1, 1], device_id=1).isError()
        assert client.read_holding_registers(0x0224, count=1, device_id=1).registers == [0x0008]
        assert not client.write_register(0x001C, 2, device_id=2).isError()
        assert client.read_holding_registers(0x001C, count=1, device_id=2).registers == [0]
        control.step_clock(30)
        assert client.read_holding_registers(0x001C, count=1, device_id=2).registers == [2]
    assert [r["state"] for r in control.relay()] == ["forced off", "closed", "forced off"]
    assert [(c["serial"], c["at"], c["command"]) for c in control.commands()] == [
        ("26030200000001", "2026-03-02T00:00:00", "forced off"),
        ("W0001", "2026-03-02T00:00:00", "close"),
    ]


@pytest.mark.needs("mbpoll")
def test_mbpoll_reads_the_same_registers(control):
    control.set_clock(LATER)
    port = control.list()[0]["port"]

    def mbpoll(unit, first, count, kind):
        """{address: text} as mbpoll prints it; -0 counts from 0, -B reads big words first."""
        done = subprocess.run(
            f"mbpoll -m tcp -p {port} -a {unit} -0 -B -1 "
            f"-r {first} -c {count} -t {kind} 127.0.0.1".split(),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        lines = [line.split("]:") for line in done.stdout.splitlines() if line.startswith("[")]
        return {int(address[1:]): value.strip() for address, value in lines}

    shown, water, _off = control.registers()
    totals = mbpoll(1, 0x0000, 5, "4:int")
    names = ("register", "sharp", "peak", "flat", "valley")
    assert [Fraction(int(text), 100) for text in totals.values()] == [
        Fraction(shown[name]) for name in names
    ]
    block = mbpoll(1, 0x0200, 48, "4:hex")
    assert block[0x0215] + block[0x0216][2:] == f"0x{int(totals[0]):08X}"
    assert block[0x0224] == "0x2009"
    # 2026-03-04 05:06:07 UTC is a Wednesday, 13:06:07 by the meter's clock
    assert [block[0x0228 + n] for n in range(4)] == ["0x1A03", "0x0403", "0x0D06", "0x0700"]
    valve = mbpoll(2, 0x0001, 28, "4:hex")
    assert valve[0x001C] == "0x0001"
    low, high = (bytes.fromhex(valve[n][2:]) for n in (1, 2))
    (cubic_metres,) = struct.unpack("<f", low + high)
    assert cubic_metres == pytest.approx(float(water["register"]), abs=1e-6)


def test_command_line(control):
    gateway = control.list()[0]["port"]
    code, lines, _error = command_line(control, "list")
    assert (code, lines) == (0, control.list())
    code, lines, _error = command_line(control, "relay")
    assert [line["supply"] for line in lines] == ["on", "on", "off"]
    assert command_line(control, "registers", "W0001")[1][0]["register"] == "10.500"
    assert command_line(control, "clock", "--step", "60")[1][0]["now"] == "2026-03-02T00:01:00"
    assert command_line(control, "clock", "--set", "2026-03-03", "--speed", "0")[0] == 0
    assert control.clock()["now"] == "2026-03-03T00:00:00"
    add = ("fault", "add", "delay", "--gateway", str(gateway), "--ms", "5", "--unit", "1")
    assert command_line(control, *add)[0] == 0
    assert [fault["kind"] for fault in control.faults()] == ["delay"]
    assert command_line(control, "fault", "list")[1] == control.faults()
    assert command_line(control, "fault", "clear")[:2] == (0, [1])
    code, _lines, error = command_line(control, "relay", "nobody")
    assert code == 2
    assert "no meter with serial number 'nobody'" in error
    assert command_line(control, "fault", "add")[0] == 2
    assert command_line(control, "stop")[0] == 0


def test_no_simulator_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "list", "--control", str(port)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("simulator: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"gateways": []}, (), "site.gateways: is empty"),
        ({}, ("--clock-speed", "-1"), "negative"),
        ({}, ("--clock-database", "host=/nowhere", "--clock-speed", "2"), "--clock-speed"),
        ({}, ("--clock-database", "host=/nowhere dbname=x"), "/nowhere"),
    ],
)
def test_a_site_that_cannot_run_says_why(tmp_path, capfd, change, options, message):
    path = tmp_path / "site.json"
    path.write_text(json.dumps(site_value(**change)))
    with pytest.raises(RuntimeError, match="ended with code 2"), running(path, *options):
        pass
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_stop_ends_the_process_and_state_is_taken_up_again(tmp_path):
    path, state = tmp_path / "site.json", tmp_path / "state.jsonl"
    path.write_text(json.dumps(site_value()))
    options = (*FROZEN, "--state", str(state))
    with running(path, *options) as control:
        with ModbusTcpClient("127.0.0.1", port=control.list()[0]["port"]) as client:
            client.write_registers(0x0057, [1, 1], device_id=1)
        control.stop()
        assert control._file.readline() == b""
    with running(path, *options) as control:
        assert control.relay("26030200000001")[0]["state"] == "forced off"


def test_outage_second_master_and_serial_line_by_command(tmp_path):
    path, device = tmp_path / "site.json", tmp_path / "line"
    value = site_value()
    value["gateways"][1] |= {"kind": "serial", "port": 7, "device": str(device)}
    path.write_text(json.dumps(value))
    with running(path, *FROZEN) as control:
        tcp, serial = control.list()
        assert (serial["kind"], serial["port"], serial["device"]) == ("serial", 7, str(device))
        assert device.exists()
        code, _lines, _errors = command_line(control, "outage", str(tcp["port"]), "refused")
        assert code == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", tcp["port"]), 2)
        control.outage(tcp["port"])
        socket.create_connection(("127.0.0.1", tcp["port"]), 2).close()
        with pytest.raises(ControlError, match="no port"):
            control.outage(7, "refused")
        assert command_line(control, "second_master", "7", "--ms", "1")[0] == 0
        while control.second_master(7) == 0:
            control.second_master(7, ms=1)
        arguments = ("fault", "add", "exception", "--gateway", "7", "--with", "code=11")
        assert command_line(control, *arguments)[0] == 0
        assert [(f["kind"], f["code"]) for f in control.faults()] == [("exception", 11)]
    assert not device.is_symlink()
