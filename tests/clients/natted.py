"""A small internet in network namespaces: a server and a viewer, each behind a NAT of its own, and one street between.

    host (10.211.0.2) --home-- gateway (203.0.113.10) --street-- gateway (203.0.113.20) --home-- host (10.212.0.2)
                                                         |
                                            street itself (203.0.113.30)

The gateways are routers of Linux with nftables, so that translation is the kernel's. No route leads out of the street,
so that nothing can reach the machine or anything beyond it. Needs root.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.clients.namespace import PORT, UDP_PORT, Namespace, ip
from tests.clients.peers import need

PREFIX = "203.0.113"
"""Of the street: addresses for documentation (RFC 5737), which nobody has."""
OUTSIDE = f"{PREFIX}.10"
"""The server's, as the street knows it."""
INSIDE = "10.211.0.2"
"""The server's own."""
STREET = f"{PREFIX}.30"
PASSING = """
table inet firewall {{
  chain passing {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
    {denied}
    iifname home accept
  }}
}}
"""
ONE_TO_ONE = """
table ip translation {{
  chain arriving {{
    type nat hook prerouting priority dstnat;
    {forwarded}
  }}
  chain leaving {{ type nat hook postrouting priority srcnat; oifname street snat to {outside}; }}
}}
"""
"""Whatever leaves keeps its port."""
FORWARDED = "iifname street {protocol} dport {port} dnat to {inside};"
NAPT = """
table ip translation {{
  chain leaving {{ type nat hook postrouting priority srcnat; oifname street masquerade {how}; }}
}}
"""
_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Town:
    """What ``town`` makes."""

    server: Namespace
    """Where a server is to run; its ``base`` is the address in its own network."""
    street: Namespace
    """Where everybody gets to: a TURN server's place."""
    viewer: Namespace
    """Its ``base`` is the server's, as seen from here."""
    front: Namespace
    """The server's gateway."""
    gate: Namespace
    """The viewer's."""

    def set_front(self, *, udp: bool = True, turn: str = "") -> None:
        """Make the server's NAT anew: two ports are forwarded, or without ``udp`` that of HTTP alone.

        ``turn`` are ports of a TURN server on the same host, UDP and TCP, as nft writes them.
        """
        ports = [("tcp", str(PORT)), *([("udp", str(UDP_PORT))] if udp else [])]
        ports += [(protocol, f"{{ {turn} }}") for protocol in ("tcp", "udp") if turn]
        forwarded = "\n".join(FORWARDED.format(protocol=each, port=port, inside=INSIDE) for each, port in ports)
        nft(self.front, PASSING.format(denied="") + ONE_TO_ONE.format(forwarded=forwarded, outside=OUTSIDE))

    def set_gate(self, *, symmetric: bool = False, udp: bool = True) -> None:
        """Make the viewer's NAT anew, which forgets all that it knew.

        Either way only who was written to may answer. ``symmetric``: each destination sees another port, by chance;
        else all see the one that the viewer has. Without ``udp`` no datagram of the viewer's gets out.
        """
        denied = "" if udp else "meta l4proto udp drop"
        how = "fully-random" if symmetric else ""
        nft(self.gate, PASSING.format(denied=denied) + NAPT.format(how=how))


def nft(space: Namespace, rules: str) -> None:
    """Give rules to the kernel in place of those it has.

    Errors: AssertionError with nft's words.
    """
    command = space.argv(need("nft"), "-f", "-")
    done = subprocess.run(
        command, input=f"flush ruleset\n{rules}", capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr


def need_translation(space: Namespace) -> None:
    """Skip the test where the kernel translates no addresses."""
    done = subprocess.run(
        space.argv(need("nft"), "-f", "-"),
        input=PASSING.format(denied="") + NAPT.format(how="fully-random") + "flush ruleset",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this kernel has no NAT: {done.stderr.strip()}")


@contextmanager
def host(role: str, base: str = "") -> Iterator[Namespace]:
    """A namespace with nothing but loopback in it; gone with what it has when the block is left."""
    space = Namespace(f"whep-{role}-{os.getpid()}-{next(_serials)}", base)
    ip("netns", "add", space.name)
    try:
        ip("-n", space.name, "link", "set", "lo", "up")
        yield space
    finally:
        ip("netns", "delete", space.name)


def plug(space: Namespace, device: str, address: str, other: Namespace, far: str) -> None:
    """A cable from a device with an address to another host, where its end is called ``far``."""
    ip("-n", space.name, "link", "add", device, "type", "veth", "peer", "name", far, "netns", other.name)
    for each, name in ((space, device), (other, far)):
        ip("-n", each.name, "link", "set", name, "addrgenmode", "none")  # IPv6 would take seconds to settle
        ip("-n", each.name, "link", "set", name, "up")
    ip("-n", space.name, "address", "add", address, "dev", device)


def settle(inside: Namespace, gateway: Namespace, street: Namespace, network: str, outside: str) -> None:
    """Put a host behind a gateway, and the gateway on the street."""
    plug(inside, "home", f"{network}.2/24", gateway, "home")
    ip("-n", gateway.name, "address", "add", f"{network}.1/24", "dev", "home")
    ip("-n", inside.name, "route", "add", "default", "via", f"{network}.1", "dev", "home")
    plug(gateway, "street", f"{outside}/24", street, outside)
    ip("-n", street.name, "link", "set", outside, "master", "bridge")
    forward = gateway.argv("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    subprocess.run(forward, check=True, timeout=20)


@contextmanager
def town() -> Iterator[Town]:
    """All of it, the viewer's NAT one that gives all destinations the same port; gone when the block is left."""
    with ExitStack() as stack:
        street = stack.enter_context(host("street"))
        need_translation(street)
        ip("-n", street.name, "link", "add", "bridge", "type", "bridge")
        ip("-n", street.name, "address", "add", f"{STREET}/24", "dev", "bridge")
        ip("-n", street.name, "link", "set", "bridge", "up")
        server = stack.enter_context(host("server", f"http://{INSIDE}:{PORT}"))
        front = stack.enter_context(host("front"))
        settle(server, front, street, "10.211.0", OUTSIDE)
        viewer = stack.enter_context(host("viewer", f"http://{OUTSIDE}:{PORT}"))
        gate = stack.enter_context(host("gate"))
        settle(viewer, gate, street, "10.212.0", f"{PREFIX}.20")
        made = Town(server, street, viewer, front, gate)
        made.set_front()
        made.set_gate()
        yield made
