"""From where viewers reach the addresses that they are told: for the warning at the start, and for the doctor. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from whep_server.rtc.addresses import loopback_only
from whep_server.settings import PREFIX, Settings

BRIDGES: Final = ("docker*", "br-*", "bridge*", "cni*", "flannel*", "lxc*", "lxdbr*", "podman*", "veth*", "virbr*")
"""Interfaces that lead to containers and guests of this machine."""
DOCKER: Final = ipaddress.ip_network("172.17.0.0/16")
"""Where containers are that were told nothing else: inside one, the interface does not tell."""
SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: behind a provider's NAT."""


class Reach(StrEnum):
    """What sort of address it is."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    BRIDGE = "a bridge to containers"
    SHARED = "a provider's NAT"


def reach_of(address: str, names: Mapping[str, str]) -> Reach:
    """From where an address is reached. ``names`` are those of this machine's interfaces, by address."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return Reach.LOOPBACK
    if parsed in DOCKER or any(fnmatchcase(names.get(address, ""), pattern) for pattern in BRIDGES):
        return Reach.BRIDGE
    if parsed in SHARED:
        return Reach.SHARED
    return Reach.PUBLIC if parsed.is_global else Reach.PRIVATE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an operator is told."""

    says: str
    """What viewers are offered."""
    fix: str = ""
    """Who sees no picture for that, and what helps; empty where viewers anywhere may see one."""
    nobody: bool = False
    """Whether not even viewers next to the server see one."""


def judge(
    settings: Settings, offered: Sequence[str], names: Mapping[str, str], learned: Sequence[str] | None = None
) -> Verdict:
    """Whether viewers elsewhere see a picture.

    ``offered`` are addresses of this machine, ``learned`` those that STUN and TURN servers give it; None: they were not
    asked, and may know a way.
    """
    told = dict.fromkeys([*settings.public_ip, *offered, *(learned or ())])
    kinds = {address: reach_of(address, names) for address in told}
    says = f"viewers are offered {', '.join(f'{address} ({kind})' for address, kind in kinds.items()) or 'no address'}"
    unasked = learned is None and settings.use_ice_servers and bool(settings.stun_urls or settings.turn_urls)
    if unasked or Reach.PUBLIC in kinds.values():
        return Verdict(says)
    if not kinds:
        return Verdict(says, f"bring a network interface up, or look at {PREFIX}ICE_INTERFACES", nobody=True)
    if loopback_only(settings):
        return Verdict(
            says,
            f"only this machine sees a picture; for others set {PREFIX}HOST=0.0.0.0, or behind a proxy here "
            f"{PREFIX}PUBLIC_URL",
        )
    return Verdict(
        says,
        "only viewers on these networks see a picture; for others set WEBRTC_PUBLIC_IP, or WEBRTC_STUN_URLS, which "
        "finds the public address of a machine behind NAT, or WEBRTC_TURN_URLS; in a container use the host's network",
    )
