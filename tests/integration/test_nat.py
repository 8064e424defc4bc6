"""A server behind one-to-one NAT with two ports forwarded, and viewers behind NATs of other kinds; coturn relays.

The NATs are the kernel's own (`tests.clients.natted`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.coturn import PORT as TURN_PORT
from tests.clients.coturn import SECRET, coturn
from tests.clients.namespace import UDP_PORT, server_inside
from tests.clients.natted import INSIDE, OUTSIDE, STREET, Town, town
from tests.clients.server_process import Server

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

PICTURES = 25
DEADLINE_S = 60
RELAYS = "61000-61200"
"""What compose.yaml has coturn relay from."""
TURN = f"turn:{STREET}:{TURN_PORT}"


@pytest.fixture(scope="module")
def built(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The town with a server and coturn in it; ``server`` comes first because it has filled the cache of idle loops."""
    settings = {
        "public_ip": OUTSIDE,
        "stun_urls": f"stun:{STREET}:{TURN_PORT}",
        "turn_urls": f"{TURN}?transport=udp,{TURN}?transport=tcp",
        "turn_secret": SECRET,
    }
    with (
        town() as made,
        coturn(made.street, STREET, tmp_path_factory.mktemp("coturn")),
        server_inside(made.server, **settings),
    ):
        yield made


def play(built: Town, *servers: str) -> dict[str, object]:
    """What aiortc reports."""
    where = [f"{built.viewer.base}/whep/demo", STREET, str(PICTURES), str(DEADLINE_S)]
    return built.viewer.run_json([sys.executable, "-m", "tests.clients.natted_viewer", *where, *servers], 100)


@pytest.mark.parametrize(("symmetric", "seen_as"), [(False, "srflx"), (True, "prflx")])
def test_a_viewer_behind_another_nat_plays_without_a_relay(built: Town, symmetric: bool, seen_as: str):
    """Where its NAT gives each destination another port, what the STUN server told it is of no use to us."""
    built.set_front()
    built.set_gate(symmetric=symmetric)
    report = play(built, "stun:")
    assert report["video"] >= PICTURES
    first, second = report["ports_seen"]
    assert (first != second) == symmetric
    assert report["server_offers"][0] == [OUTSIDE, "host"]
    assert report["remote_address"] == [OUTSIDE, UDP_PORT] and report["servers_view"] == [["host", seen_as]]


def test_a_viewer_from_whom_no_datagram_gets_out_plays_by_turn_over_tcp(built: Town):
    built.set_front()
    built.set_gate(udp=False)
    report = play(built, "transport=tcp")
    assert report["video"] >= PICTURES and report["local"] == "relay"
    assert report["ports_seen"] == []


def test_a_server_whose_udp_port_is_not_forwarded_is_reached_by_its_own_relay(built: Town):
    built.set_front(udp=False)
    built.set_gate(symmetric=True)
    report = play(built, "stun:")
    assert report["video"] >= PICTURES and report["local"] != "relay"
    assert report["remote"] == "relay" and report["remote_address"][0] == STREET
    assert report["servers_view"] == [["relay", "prflx"]]


def test_coturn_on_the_servers_own_machine_relays_to_it_behind_the_same_nat(built: Town, tmp_path: Path):
    """As compose.yaml puts it: what is relayed cannot go out and in again, and may go to that machine alone."""
    built.set_front(turn=f"{TURN_PORT}, {RELAYS}")
    built.set_gate(udp=False)
    with coturn(built.server, OUTSIDE, tmp_path, local=INSIDE):
        report = play(built, f"turn:{OUTSIDE}:{TURN_PORT}?transport=tcp")
    assert report["video"] >= PICTURES and report["local"] == "relay"
    assert report["remote_address"][0] in (INSIDE, OUTSIDE)


def chromium(built: Town, *policy: str) -> dict[str, object]:
    """What Chromium on the built-in player reports."""
    command = ["-m", "tests.clients.relayed_viewer", built.viewer.base, STREET, str(PICTURES), *policy]
    report = built.viewer.run_json([sys.executable, *command], 100)
    assert report["errors"] == [] and report["video"] >= PICTURES
    return report


def test_chromium_from_which_no_datagram_gets_out_plays_by_turn_over_tcp(built: Town):
    built.set_front()
    built.set_gate(udp=False)
    report = chromium(built)
    assert (report["local"], report["relay_protocol"]) == ("relay", "tcp")


def test_chromium_that_may_use_relays_alone_plays_by_turn(built: Town):
    built.set_front()
    built.set_gate(symmetric=True)
    report = chromium(built, "relay")
    assert report["local"] == "relay" and report["relay_protocol"] in ("udp", "tcp")
