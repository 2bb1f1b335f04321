"""Which addresses and devices a gateway may be reached at: those the administrator lists.

Whoever may type a gateway's address could otherwise make the server talk to itself, to its
cloud's metadata service, or to whatever else only the server reaches.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import NotAllowed

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Only a network of the list that lies within one of these opens an address of it: a list of
#: "everything" does not.
_OWN = {
    "server": ("127.0.0.0/8", "::1/128"),
    "metadata": ("169.254.169.254/32", "fd00:ec2::254/128"),
    "link_local": ("169.254.0.0/16", "fe80::/10"),
}
_OWN_NETWORKS = tuple(
    (ipaddress.ip_network(network), code) for code, texts in _OWN.items() for network in texts
)
#: Nothing opens these: they are no single device's address.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8")
)
#: IPv4 addresses within IPv6 ones: mapped, compatible, translated (NAT64).
_CARRIERS = tuple(ipaddress.ip_network(text) for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96"))
_WIDEST = {4: 8, 6: 16}
#: What the C library takes for an IPv4 address besides four decimal numbers.
_ODD_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Allowed:
    """What the administrator listed: networks, and paths of serial devices."""

    networks: tuple[Network, ...] = ()
    devices: frozenset[str] = frozenset()


def read_networks(text: str) -> tuple[Network, ...]:
    """The networks of a list parted by commas or blanks.

    :raise ValueError: with what is no network, or far too wide a one
    """
    networks = tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())
    for network in networks:
        if network.prefixlen < _WIDEST[network.version]:
            raise ValueError(f"{network} is too wide to be a list of gateways")
    return networks


def read_devices(text: str) -> frozenset[str]:
    """The device paths of a list parted by commas or blanks.

    :raise ValueError: with what is no path below /dev/
    """
    paths = frozenset(text.replace(",", " ").split())
    for path in paths:
        if not path.startswith("/dev/") or ".." in path.split("/"):
            raise ValueError(f"{path} is no path below /dev/")
    return paths


def odd_number(host: str) -> bool:
    """Whether a host is an IPv4 address in hexadecimal, octal or fewer than four parts."""
    if not _ODD_NUMBER.fullmatch(host):
        return False
    try:
        return str(ipaddress.IPv4Address(host)) != host
    except ValueError:
        return True


def numbered(host: str) -> Address | None:
    """The address that a host is written as, None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def normalised(host: str) -> str:
    """One spelling of a host, so that no endpoint is known under two of them."""
    host = host.strip()
    address = numbered(host)
    if address is None:
        return host.rstrip(".").lower()
    return str(getattr(address, "ipv4_mapped", None) or address)


def refusal(address: Address, networks: Iterable[Network]) -> str:
    """Why the server must not connect to an address, of `NotAllowed.REASONS`; "" where it may."""
    networks = tuple(networks)
    code = own_refusal(address, networks)
    if not code and not any(_inner(address) in listed for listed in networks):
        code = "not_listed"
    return code


def own_refusal(address: Address, networks: Iterable[Network]) -> str:
    """Why an address is none of a gateway, whatever wide network of the list it lies in: of
    `NotAllowed.REASONS`, or ""."""
    networks = tuple(networks)
    address = _inner(address)
    if any(address in network for network in _NEVER):
        return "no_device"
    for network, code in _special(address):
        if any(_within(listed, network) and address in listed for listed in networks):
            return ""
        return code
    return ""


def choose(
    host: str, found: Sequence[str], networks: Iterable[Network]
) -> tuple[str, NotAllowed | None]:
    """The address to connect to, of those that a name resolved to.

    One address within the server itself refuses the whole name.

    :return: (address, None) or ("", why none)
    """
    networks = tuple(networks)
    chosen, refused = "", NotAllowed("nowhere", host)
    for text in found:
        address = ipaddress.ip_address(text.split("%")[0])
        code = refusal(address, networks)
        if not code:
            chosen = chosen or text
            continue
        refused = NotAllowed(code, f"{host} ({text})")
        if any(True for _found in _special(_inner(address))):
            return "", refused
    return (chosen, None) if chosen else ("", refused)


def _special(address: Address) -> Iterable[tuple[Network, str]]:
    """The part of the server's own network that an address lies in, the narrowest first."""
    for network, code in _OWN_NETWORKS:
        if address in network:
            yield network, code
    if _is_own(address):
        yield ipaddress.ip_network(address), "interface"


def _is_own(address: Address) -> bool:
    """Whether an address belongs to an interface here: only such a one can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _inner(address: Address) -> Address:
    """The IPv4 address within an IPv6 one, where there is one."""
    if address.version == 6 and int(address) > 1 and any(address in net for net in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
