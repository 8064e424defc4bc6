"""Whether viewers can reach a server here: its ports, the addresses that it tells them, its STUN and TURN servers."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx

from whep_server import __version__
from whep_server.command.findings import Finding
from whep_server.command.own_address import own_origin
from whep_server.command.serve import is_exposed
from whep_server.rtc.addresses import interfaces, loopback_only, media_port, only_here
from whep_server.rtc.ice_probe import Answer, allocate, ask_stun, offered_addresses, overhearing
from whep_server.rtc.ports import check_port as check_media_port
from whep_server.rtc.reach import Reach, judge, reach_of
from whep_server.rtc.shared_port import PortTaken
from whep_server.settings import PREFIX, Settings
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import is_asked

DATAGRAM_S: Final = 2.0
ANSWER_S: Final = 3.0
PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def check_port(settings: Settings) -> Iterator[Finding]:
    """Whether a server could listen, or does so already, and which one."""
    address = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        yield Finding("port", True, "a free one will be taken")
        return
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((settings.host, settings.port))
        except OSError as error:
            yield _not_free(settings, address, error)
            return
    yield Finding("port", True, f"{address} is free")


def _not_free(settings: Settings, address: str, error: OSError) -> Finding:
    running = _version_of_ours(settings) if error.errno == errno.EADDRINUSE else None
    if running is None:
        there = error.errno == errno.EADDRINUSE
        fix = f"end what listens there, or take another port: {PREFIX}PORT=8001" if there else f"set {PREFIX}HOST"
        return Finding("port", False, f"{address}: {error.strerror}", fix)
    says = f"{address}: a server of ours is running there, version {running}"
    return Finding("port", running == __version__, says, f"start it anew: this is {__version__}", fatal=False)


def _version_of_ours(settings: Settings) -> str | None:
    """The version of the server of ours that listens there; None where it is none."""
    try:  # whoever it is, nothing is told it
        with httpx.Client(base_url=own_origin(settings), timeout=ANSWER_S, trust_env=False, verify=False) as client:
            described = client.get("/openapi.json").json()
            alive = client.get("/healthz").json() == {"status": "ok"}
        return str(described["info"]["version"]) if alive and described["info"]["title"] == "whep-avatar" else None
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def check_access(settings: Settings) -> Iterator[Finding]:
    """Whether a server that others reach asks who they are, and whether it would start at all."""
    scopes = {"watch": Scope.WATCH, "speak": Scope.SPEAK}
    open_to = [what for what, scope in scopes.items() if not is_asked(settings, scope)]
    if not open_to:
        yield Finding("access", True, "tokens for whatever is done")
        return
    says = f"whoever reaches {settings.public_url or settings.host} may {' and '.join(open_to)}"
    fix = f"set {PREFIX}TOKEN_SECRETS, or {PREFIX}WATCH_TOKEN and {PREFIX}PUBLISH_TOKEN, unless it is meant"
    refused = is_exposed(settings) and not settings.insecure
    yield Finding("access", only_here(settings), says, fix, fatal=refused)


def check_udp(settings: Settings) -> Iterator[Finding]:
    """That datagrams pass: some sandboxes allow only TCP."""
    fix = "allow UDP for this program; without it only viewers behind a TURN server over TCP could be reached"
    addresses, wrong = offered_addresses(settings) or ["127.0.0.1"], []
    for address in addresses:
        try:
            _send_to_itself(address)
        except OSError as error:
            wrong.append(f"{address}: {error}")
    if wrong:
        says = f"no datagram came through at {'; '.join(wrong)}"
        yield Finding("udp", False, says, fix, fatal=len(wrong) == len(addresses))
        return
    yield Finding("udp", True, "datagrams pass")


def check_media(settings: Settings) -> Iterator[Finding]:
    """The UDP ports that sessions take."""
    if media_port(settings):
        yield _one_port(settings)
        return
    ports = settings.udp_ports if settings.udp_port_range else _kernels_ports()
    if not ports:
        yield Finding("media", True, "each session has UDP ports of its own")
        return
    says = f"each session has UDP ports of its own, of {len(ports)} from {ports[0]} to {ports[-1]}"
    wider = f"a wider {PREFIX}UDP_PORT_RANGE" if settings.udp_port_range else "a wider net.ipv4.ip_local_port_range"
    fix = f"each viewer takes one on each address: {PREFIX}UDP_PORT=8443 has one for all; or {wider}"
    yield Finding("media", len(ports) >= settings.max_viewers, says, fix, fatal=False)


def _one_port(settings: Settings) -> Finding:
    try:
        check_media_port(settings)
    except PortTaken as error:
        says, _, other = str(error).partition("\n")
        running = _version_of_ours(settings) is not None  # it has taken its media port, too
        return Finding("media", running, f"{says}{': a server of ours is running' if running else ''}", other)
    return Finding("media", True, f"UDP port {media_port(settings)} for the media of all sessions")


def _kernels_ports() -> range:
    """What the operating system gives to who asks for any; empty where it does not say."""
    try:
        first, last = map(int, PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return range(0)
    return range(first, last + 1)


def _send_to_itself(address: str) -> None:
    """Errors: OSError where nothing arrives."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(DATAGRAM_S)
        end.bind((address, 0))
        end.sendto(b"ping", end.getsockname())
        end.recv(16)


async def _ask_all(settings: Settings) -> tuple[list[Answer], list[Answer]]:
    user, password = settings.turn_login.at(time.time())
    with overhearing():
        async with asyncio.TaskGroup() as group:
            stuns = [group.create_task(ask_stun(url)) for url in settings.stun_urls]
            turns = [group.create_task(allocate(url, user, password)) for url in settings.turn_urls]
    return [each.result() for each in stuns], [each.result() for each in turns]


def check_ice(settings: Settings) -> Iterator[Finding]:
    """STUN and TURN servers, each really asked; then what all of it comes to for a viewer elsewhere."""
    stuns, turns = asyncio.run(_ask_all(settings))
    if not stuns and not turns:
        yield Finding("ice servers", True, "none are set")
    for url, answer in zip(settings.stun_urls, stuns, strict=True):
        fix = "each minute a viewer waits for it in vain: mend it, or take it out of WEBRTC_STUN_URLS"
        yield _server("stun", url, answer, f"sees us as {answer.address}", fix)
    for url, answer in zip(settings.turn_urls, turns, strict=True):
        yield _relay(url, answer) or _server("turn", url, answer, "", _turn_fix(settings, answer))
    heard = turns if loopback_only(settings) else [*stuns, *turns]  # who binds 127.0.0.1 asks no STUN server
    heard = heard if settings.use_ice_servers else []
    yield _reach(settings, [each.address for each in heard if each.address])


def _server(check: str, url: str, answer: Answer, says: str, fix: str) -> Finding:
    if answer.address:
        return Finding(check, True, f"{url} {says}")
    if not answer.tried:
        return Finding(check, False, f"{url} was not asked: {answer.problem}", "put one before it that is", fatal=False)
    return Finding(check, False, f"{url}: {answer.problem}", fix)


def _relay(url: str, answer: Answer) -> Finding | None:
    """One that relays; None for one that does not."""
    if not answer.address:
        return None
    reach = reach_of(answer.address, interfaces())
    says = f"{url} relays at {answer.address} ({reach})"
    fix = "viewers elsewhere do not reach that: name its public address in its settings (coturn: external-ip)"
    return Finding("turn", reach is Reach.PUBLIC, says, fix, fatal=False)


def _turn_fix(settings: Settings, answer: Answer) -> str:
    if answer.code in (400, 401, 441):
        if settings.turn_secret.get_secret_value():
            return (
                f"{PREFIX}TURN_SECRET must be its static-auth-secret (with use-auth-secret), and both clocks must agree"
            )
        return "WEBRTC_TURN_USER and WEBRTC_TURN_PASS must be what it was given; its realm does not matter"
    if answer.code is not None:
        return "its settings and its log say why"
    return "start it, open its ports to this machine and to viewers, or take it out of WEBRTC_TURN_URLS"


def _reach(settings: Settings, learned: Sequence[str]) -> Finding:
    """From where viewers get to see a picture."""
    verdict = judge(settings, offered_addresses(settings), interfaces(), learned)
    return Finding("addresses", not verdict.fix, verdict.says, verdict.fix, fatal=verdict.nobody)
