"""What an operator says of the addresses and ports of media, read. Pure; every function raises ValueError, in words."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

FIRST_PORT: Final = 1024
"""The first that needs no privileges."""
LAST_PORT: Final = 65535
_RANGE: Final = re.compile(r"(\d{4,5})\s*-\s*(\d{4,5})")
_INTERFACE: Final = re.compile(r"(?![\d.]+$)[\w.@?*-]+")


def port_range(text: str) -> range:
    """``40000-40100``; empty: port 0 alone, which leaves it to the operating system."""
    if not text.strip():
        return range(1)
    match = _RANGE.fullmatch(text.strip())
    first, last = map(int, match.groups()) if match else (0, 0)
    if not FIRST_PORT <= first <= last <= LAST_PORT:
        raise ValueError(f"must be two ports from {FIRST_PORT} to {LAST_PORT} in order, as in 40000-40100")
    return range(first, last + 1)


def public_addresses(given: Sequence[str]) -> list[str]:
    """Addresses that a peer can send to, IPv4 or IPv6, in their usual spelling, each once."""
    try:
        addresses = [ipaddress.ip_address(each) for each in given]
    except ValueError:
        raise ValueError("must be IPv4 or IPv6 addresses; names are not looked up") from None
    if any(each.is_unspecified or each.is_multicast or each.is_link_local for each in addresses):
        raise ValueError("must be addresses that others can send to")
    return list(dict.fromkeys(map(str, addresses)))


def interfaces(given: Sequence[str]) -> list[str]:
    """Names of interfaces with wildcards, addresses, networks; a slip in a network would never be anything."""
    for each in given:
        if _INTERFACE.fullmatch(each):
            continue
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError:
            raise ValueError("must be interfaces, addresses or networks, as in eth0,docker*,10.0.0.0/8") from None
    return list(given)
