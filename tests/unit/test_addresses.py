"""Which addresses are offered for media, under which names, and in which order."""

import socket

import pytest
from pydantic import ValidationError

from whep_server.rtc import addresses, ports
from whep_server.rtc.ports import candidates, check_port, host_candidate
from whep_server.rtc.shared_port import PortTaken
from whep_server.settings import Settings

HERE = {
    "10.0.0.5": "eth0",
    "192.168.122.1": "virbr0",
    "172.17.0.1": "docker0",
    "8.8.4.4": "eth1",
    "fd00::5": "eth0",
    "fe80::5": "eth0",
}


def found(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["fd00::5", "fe80::5", *(each for each in HERE if ":" not in each)]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(addresses, "interfaces", lambda: HERE)


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({}, ["127.0.0.1"]),
        ({"host": "0.0.0.0"}, ["10.0.0.5", "192.168.122.1", "172.17.0.1", "8.8.4.4", "fd00::5"]),
        ({"public_url": "https://a.example", "ice_interfaces": "eth0"}, ["10.0.0.5", "fd00::5"]),
        ({"public_url": "http://localhost:8000"}, ["127.0.0.1"]),
        ({"ice_loopback": False, "ice_interfaces": "eth0"}, ["10.0.0.5", "fd00::5"]),
        ({"public_ip": "203.0.113.9", "ice_interfaces": "eth*, virbr?"}, [
            "10.0.0.5", "192.168.122.1", "8.8.4.4", "fd00::5",
        ]),
        ({"host": "::", "ice_interfaces_denied": "docker*,192.168.0.0/16,::/0"}, ["10.0.0.5", "8.8.4.4"]),
        ({"host": "::", "ice_interfaces": "10.0.0.5, 8.8.4.4", "ice_interfaces_denied": "8.8.0.0/16"}, ["10.0.0.5"]),
    ],
)  # fmt: skip
def test_what_is_offered(settings, offered):
    assert addresses.offered(Settings(**settings), found) == offered


@pytest.mark.parametrize(
    "wrong",
    [
        {"udp_port": -1}, {"udp_port": 65536}, {"udp_port": "https"}, {"udp_port_range": "40000"},
        {"udp_port_range": "40100-40000"}, {"udp_port_range": "80-90"}, {"udp_port_range": "60000-70000"},
        {"udp_port": 8443, "udp_port_range": "40000-40100"}, {"public_ip": "example.org"}, {"public_ip": "0.0.0.0"},
        {"public_ip": "203.0.113.9,224.0.0.1"}, {"public_ip": "fe80::1"}, {"ice_interfaces": "10.0.0.0/33"},
        {"ice_interfaces": "10.0.0.300"}, {"ice_interfaces_denied": "eth0 eth1"},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_words(wrong):
    with pytest.raises(ValidationError, match=r"must be|exclude|valid integer|(less|greater) than"):
        Settings(**wrong)


def test_the_names_that_others_use_are_read(monkeypatch):
    monkeypatch.setenv("WEBRTC_UDP_PORT", "")
    monkeypatch.setenv("WEBRTC_UDP_PORT_RANGE", "40000-40100")
    monkeypatch.setenv("WEBRTC_PUBLIC_IP", "203.0.113.9, 2001:DB8:0::9,203.0.113.9")
    settings = Settings()
    assert (settings.udp_port, settings.udp_ports) == (None, range(40000, 40101))
    assert settings.public_ip == ["203.0.113.9", "2001:db8::9"]


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({}, 0),
        ({"host": "0.0.0.0"}, 8443),
        ({"public_ip": "203.0.113.9"}, 8443),
        ({"ice_loopback": False}, 8443),
        ({"host": "0.0.0.0", "udp_port_range": "40000-40100"}, 0),
        ({"host": "0.0.0.0", "udp_port": 0}, 0),
        ({"host": "0.0.0.0", "udp_port": ""}, 8443),
        ({"udp_port": 9000}, 9000),
    ],
)
def test_one_port_is_the_rule_where_others_reach_the_server(settings, number):
    assert addresses.media_port(Settings(**settings)) == number


class At:
    """As much of a protocol as candidates are made of."""

    def __init__(self, host: str, port: int) -> None:
        self.local_candidate = host_candidate(host, port)


@pytest.mark.parametrize(
    ("own", "public", "offered"),
    [
        ([("10.0.0.5", 8443), ("fd00::5", 8443)], [], [("10.0.0.5", 8443), ("fd00::5", 8443)]),
        (
            [("10.0.0.5", 8443), ("172.17.0.1", 8443)],
            ["203.0.113.9"],
            [("203.0.113.9", 8443), ("10.0.0.5", 8443), ("172.17.0.1", 8443)],
        ),
        (
            [("10.0.0.5", 40000), ("10.0.0.6", 40001), ("fd00::5", 40002)],
            ["203.0.113.9", "2001:db8::9"],
            [
                *(("203.0.113.9", 40000), ("203.0.113.9", 40001), ("2001:db8::9", 40002)),
                *(("10.0.0.5", 40000), ("10.0.0.6", 40001), ("fd00::5", 40002)),
            ],
        ),
        ([("203.0.113.9", 8443)], ["203.0.113.9"], [("203.0.113.9", 8443)]),
        (
            [("10.0.0.5", 8443), ("203.0.113.9", 8443)],
            ["203.0.113.9", "2001:db8::9"],
            [("203.0.113.9", 8443), ("10.0.0.5", 8443)],
        ),
    ],
)
def test_public_addresses_come_first_with_the_port_that_the_nat_keeps(own, public, offered):
    made = candidates([At(*each) for each in own], public)
    assert [(each.host, each.port) for each in made] == offered
    priorities = [each.priority for each in made]
    assert priorities == sorted(priorities, reverse=True) and {each.type for each in made} == {"host"}
    assert (priorities[0] > priorities[-1]) == (bool(public) and offered[-1][0] not in public)


def test_a_taken_media_port_is_said_in_words_and_an_address_that_is_gone_is_passed_over(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"UDP port {number} of 127\.0\.0\.1.*in use.*\n.*--udp-port"):
            check_port(Settings(udp_port=number))
    monkeypatch.setattr(ports.aioice.ice, "get_host_addresses", lambda *_: ["198.51.100.1"])  # nobody's
    check_port(Settings(udp_port=number, host="0.0.0.0"))
