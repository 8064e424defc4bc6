"""Which of this machine's addresses are offered for media. Who could reach them: ``reach``.

What an operator names is told apart by its looks: ``eth0`` and ``docker*`` are interfaces (with shell wildcards),
``192.0.2.1`` is an address, ``10.0.0.0/8`` a network.
"""

import ipaddress
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

import ifaddr

from whep_server.settings import Settings

MEDIA_PORT: Final = 8443
"""Where nothing else was said."""

HostAddresses = Callable[[bool, bool], list[str]]
"""aioice's ``get_host_addresses``: for IPv4, for IPv6."""


def is_loopback(host: str) -> bool:
    """Whether HTTP on ``host`` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def only_here(settings: Settings) -> bool:
    """Whether nobody but this machine reaches HTTP: it listens on loopback, and no proxy is known to be before it."""
    public = urlsplit(settings.public_url).hostname
    return is_loopback(settings.host) and (public is None or is_loopback(public))


def loopback_only(settings: Settings) -> bool:
    """Whether 127.0.0.1 alone is offered: where HTTP is for this machine, nobody else can have asked for media."""
    return settings.ice_loopback and only_here(settings) and not settings.public_ip


def serves_loopback(settings: Settings) -> bool:
    """Whether peers may be on this machine's loopback: where HTTP is for this machine, as are all addresses."""
    return only_here(settings) and not settings.public_ip


def media_port(settings: Settings) -> int:
    """The UDP port for the media of all sessions; 0 where each has ports of its own.

    On loopback it asks nothing of a machine that several servers share.
    """
    if settings.udp_port is not None:
        return settings.udp_port
    return 0 if settings.udp_port_range or loopback_only(settings) else MEDIA_PORT


def interfaces() -> dict[str, str]:
    """Names of this machine's interfaces, by address."""
    found: dict[str, str] = {}
    for adapter in ifaddr.get_adapters():
        for each in adapter.ips:
            found[each.ip if isinstance(each.ip, str) else each.ip[0]] = adapter.nice_name
    return found


def named(address: str, interface: str, entries: Iterable[str]) -> bool:
    """Whether an operator's list names an address, or the interface that has it."""
    for entry in entries:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            if fnmatchcase(interface, entry):
                return True
        else:
            if ipaddress.ip_address(address) in network:
                return True
    return False


def offered(settings: Settings, found: HostAddresses, use_ipv4: bool = True, use_ipv6: bool = True) -> list[str]:
    """The addresses, IPv4 first, since some players look at the first candidate only; no link-local ones."""
    if loopback_only(settings):
        return ["127.0.0.1"] if use_ipv4 else []
    usable = [address for address in found(use_ipv4, use_ipv6) if not ipaddress.ip_address(address).is_link_local]
    allowed, denied = settings.ice_interfaces, settings.ice_interfaces_denied
    if allowed or denied:
        names = interfaces()
        usable = [
            address
            for address in usable
            if (not allowed or named(address, names.get(address, ""), allowed))
            and not named(address, names.get(address, ""), denied)
        ]
    return sorted(usable, key=lambda address: ipaddress.ip_address(address).version)
