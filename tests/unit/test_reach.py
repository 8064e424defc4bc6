"""From where the addresses are reached that viewers are told, and what an operator is told of it."""

import re

import pytest

from whep_server.rtc.reach import judge, reach_of
from whep_server.settings import Settings

NAMES = {"10.0.0.5": "eth0", "192.168.122.1": "virbr0", "8.8.4.4": "eth1", "8.8.8.8": "br-5f3a"}
ELSEWHERE = {"host": "0.0.0.0"}


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.4.4", "public"),
        ("2001:4860::8", "public"),
        ("172.17.0.2", "a bridge to containers"),
        ("192.168.122.1", "a bridge to containers"),
        ("8.8.8.8", "a bridge to containers"),
        ("10.0.0.5", "private"),
        ("fd00::5", "private"),
        ("203.0.113.9", "private"),
        ("100.64.0.9", "a provider's NAT"),
        ("::1", "loopback"),
    ],
)
def test_an_address_is_told_by_its_interface_and_its_network(address, reach):
    assert reach_of(address, NAMES) == reach


@pytest.mark.parametrize(
    ("offered", "learned", "settings", "fix"),
    [
        (["10.0.0.5", "8.8.4.4"], None, ELSEWHERE, None),
        (["10.0.0.5", "192.168.122.1"], None, ELSEWHERE, "viewers on these networks.*WEBRTC_PUBLIC_IP"),
        (["fd00::5"], [], ELSEWHERE, "viewers on these networks"),
        (["10.0.0.5"], None, ELSEWHERE | {"public_ip": "8.8.4.4"}, None),
        (["10.0.0.5"], None, ELSEWHERE | {"public_ip": "10.7.0.1"}, "viewers on these networks"),
        (["127.0.0.1"], None, {}, "this machine.*WHEP_AVATAR_HOST"),
        ([], None, ELSEWHERE, "WHEP_AVATAR_ICE_INTERFACES"),
        (["10.0.0.5"], None, ELSEWHERE | {"stun_urls": "stun:a.example"}, None),
        (["10.0.0.5"], None, ELSEWHERE | {"turn_urls": "turn:a.example"}, None),
        (
            ["10.0.0.5"],
            None,
            ELSEWHERE | {"stun_urls": "stun:a.example", "use_ice_servers": False},
            "viewers on these networks",
        ),
        (["10.0.0.5"], [], ELSEWHERE | {"stun_urls": "stun:a.example"}, "viewers on these networks"),
        (["10.0.0.5"], ["100.64.0.9"], ELSEWHERE | {"stun_urls": "stun:a.example"}, "viewers on these networks"),
        (["10.0.0.5"], ["8.8.4.4"], ELSEWHERE | {"stun_urls": "stun:a.example"}, None),
        ([], ["8.8.4.4"], ELSEWHERE | {"turn_urls": "turn:a.example"}, None),
    ],
)
def test_an_operator_is_told_where_nobody_from_elsewhere_could_come(offered, learned, settings, fix):
    verdict = judge(Settings(**settings), offered, NAMES, learned)
    assert re.search(fix, verdict.fix) if fix else not verdict.fix
    assert all(f"{each} ({reach_of(each, NAMES)})" in verdict.says for each in (*offered, *(learned or ())))
    assert verdict.nobody == (not offered and not learned)
