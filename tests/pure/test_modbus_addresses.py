"""What a gateway may be reached at (M10): the list, and never the server itself by accident."""

import asyncio
import ipaddress
import socket

import pytest
from modbus_fakes import Server, profile
from planted_defects import planted

from modbus import addresses
from modbus.addresses import numbered, odd_number, own_refusal, read_devices, read_networks, refusal
from modbus.client import GatewayClient
from modbus.errors import FieldError, NotAllowed, Refused, Unreachable
from modbus.framing import TcpFraming
from modbus.link import TcpLink
from modbus.planning import Block


def why(address, networks):
    return refusal(ipaddress.ip_address(address), read_networks(networks))


def wider_lists_do_not_open_the_server():
    """A list that has the address by chance, as part of something wide, does not open it."""
    networks = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for address in (
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "169.254.169.254",
        "169.254.7.7",
        "fe80::1",
        "fd00:ec2::254",
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "::",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
    ):
        assert refusal(ipaddress.ip_address(address), networks), address
    assert not refusal(ipaddress.ip_address("10.1.2.3"), networks)


def own_addresses_are_refused(monkeypatch):
    """An address of one of this server's interfaces is the server, in whatever network it lies."""
    monkeypatch.setattr(addresses, "_OWN_NETWORKS", ())
    # The loopback's own address stands for any interface's: only that can be bound.
    networks = [ipaddress.ip_network("127.0.0.0/8")]
    assert refusal(ipaddress.ip_address("127.0.0.1"), networks) == "interface"
    assert not refusal(
        ipaddress.ip_address("127.0.0.1"), [*networks, ipaddress.ip_network("127.0.0.1/32")]
    )


def a_name_is_what_it_resolves_to_when_connecting(monkeypatch):
    """The name first means a gateway, and the next moment the server itself: nothing is sent."""

    async def scenario():
        async with Server() as server:
            told = []

            def resolve(host, port, **_options):
                told.append(host)
                ip = "127.0.0.1" if len(told) > 1 else "10.9.8.7"
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

            loop = asyncio.get_running_loop()
            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            link = TcpLink("meters.example.com", server.port, read_networks("10.0.0.0/8"))
            client = GatewayClient(link, TcpFraming())
            connected = []

            async def connect(_protocol, ip, _port):
                connected.append(ip)
                raise ConnectionRefusedError

            monkeypatch.setattr(loop, "create_connection", connect, raising=False)
            for expected in (Unreachable, Refused):
                with pytest.raises(expected):
                    await client.read_block(1, profile(), Block(3, 0, 3))
            assert connected == ["10.9.8.7"]

    asyncio.run(scenario())


def a_refusal_is_kept_by_its_code():
    for code, reason in NotAllowed.REASONS.items():
        refused = NotAllowed(code, "meters.example.com (10.0.0.5)")
        assert str(refused) == f"meters.example.com (10.0.0.5) {reason}"
        assert reason not in refused.noted
        read = NotAllowed.read(refused.noted)
        assert (read.code, read.what) == (refused.code, refused.what)
    assert NotAllowed.read("10.0.0.5:502: Connection refused") is None
    assert NotAllowed.read("refused by the device") is None
    assert NotAllowed.read("") is None


def one_inner_address_refuses_the_name():
    """A name with a gateway's address and the server's own is refused as a whole."""
    networks = read_networks("10.0.0.0/8")
    for found in (["10.0.0.5", "127.0.0.1"], ["127.0.0.1", "10.0.0.5"]):
        address, reason = addresses.choose("meters.example.com", found, networks)
        assert address == "", found
        assert reason.code == "server"
        assert "this very server" in str(reason)
    assert addresses.choose("x", ["198.51.100.1", "10.0.0.5"], networks) == ("10.0.0.5", None)


@pytest.mark.parametrize(
    ("address", "networks", "reason"),
    [
        ("10.20.3.4", "10.20.0.0/16", ""),
        ("10.21.3.4", "10.20.0.0/16", "not_listed"),
        ("10.20.3.4", "", "not_listed"),
        ("127.0.0.1", "127.0.0.0/8", ""),
        ("127.0.0.1", "10.0.0.0/8", "server"),
        ("::ffff:127.0.0.1", "127.0.0.1", ""),
        ("::ffff:10.20.3.4", "10.20.0.0/16", ""),
        ("::ffff:10.21.3.4", "10.20.0.0/16", "not_listed"),
        ("169.254.3.4", "169.254.0.0/16", ""),
        ("169.254.169.254", "169.254.0.0/16", "metadata"),
        ("169.254.169.254", "169.254.169.254", ""),
        ("0.0.0.0", "10.0.0.0/8", "no_device"),
        ("2001:db8::5", "2001:db8::/32", ""),
        ("::1", "2001:db8::/32", "server"),
        ("::1", "::1", ""),
    ],
)
def test_address_against_a_list(address, networks, reason):
    assert why(address, networks) == reason


@pytest.mark.parametrize(
    "host",
    ["0x7f000001", "0x7f.1", "0177.0.0.1", "2130706433", "127.1", "10.0.0.08", "10.20.3.4.", "10."],
)
def test_numbers_in_other_forms_are_told(host):
    assert odd_number(host)


@pytest.mark.parametrize("host", ["10.20.3.4", "meters", "10.example.com", "::1", "x10.1", "a.1b"])
def test_addresses_and_names_are_no_odd_numbers(host):
    assert not odd_number(host)


@pytest.mark.parametrize("host", ["0x7f000001", "2130706433", "0177.0.0.1", "127.1", "localhost"])
def test_whatever_form_it_is_written_in_the_server_is_not_connected_to(host):
    async def scenario():
        async with Server() as server:
            link = TcpLink(host, server.port, read_networks("10.0.0.0/8"))
            with pytest.raises(Refused, match="this very server"):
                await GatewayClient(link, TcpFraming()).connect()
            assert server.connections == 0

    asyncio.run(scenario())


def test_numbered():
    assert numbered("10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert numbered("[::1]") == ipaddress.ip_address("::1")
    assert numbered("meters") is None


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "10.0.0.1/8", "meters", "0.0.0.0/7"])
def test_lists_that_are_none(text):
    with pytest.raises(ValueError):
        read_networks(text)


@pytest.mark.parametrize("text", ["ttyUSB0", "/etc/passwd", "/dev/../etc/passwd"])
def test_devices_that_are_none(text):
    with pytest.raises(ValueError):
        read_devices(text)
    assert read_devices("/dev/ttyUSB0, /dev/serial/by-id/x") == {
        "/dev/ttyUSB0",
        "/dev/serial/by-id/x",
    }


PROPERTIES = [
    (
        a_refusal_is_kept_by_its_code,
        [(NotAllowed.read, "code, _blank, what = rest", "code, what, _blank = rest")],
    ),
    (
        wider_lists_do_not_open_the_server,
        [
            (own_refusal, "_within(listed, network) and ", ""),
            (own_refusal, "address = _inner(address)", "pass"),
            (own_refusal, "any(address in network for network in _NEVER)", "False"),
        ],
    ),
    (own_addresses_are_refused, [(addresses._special, "if _is_own(address):", "if False:")]),
    (
        a_name_is_what_it_resolves_to_when_connecting,
        [(TcpLink.open, "choose(self.host, addresses, self.allowed)", "addresses[0], ''")],
    ),
    (
        one_inner_address_refuses_the_name,
        [(addresses.choose, "if any(True for", "if False and any(True for")],
    ),
]


def _check(check, monkeypatch):
    check(monkeypatch) if check.__code__.co_argcount else check()


@pytest.mark.parametrize("check", [c for c, _d in PROPERTIES], ids=lambda c: c.__name__)
def test_property(check, monkeypatch):
    _check(check, monkeypatch)


@pytest.mark.parametrize(
    ("check", "defect"),
    [
        pytest.param(check, defect, id=f"{check.__name__}-{number}")
        for check, defects in PROPERTIES
        for number, defect in enumerate(defects)
    ],
)
def test_planted_defect_is_caught(check, defect, monkeypatch):
    with planted(*defect), pytest.raises((AssertionError, pytest.fail.Exception, FieldError)):
        _check(check, monkeypatch)
