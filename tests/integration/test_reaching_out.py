"""Nothing that a stranger names is connected to, looked up, read, written or deleted (docs/security.md lists the ways).

On a real server: every parameter, file name and header is given addresses of a trap and paths that lead elsewhere.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import aioice
import pytest

from tests.audio_files import tone, wav
from tests.clients.every_route import SDP, VIEWER, EveryRoute, bearer, every_route, token
from tests.clients.waiting import until_now
from whep_server.rtc.generation import Generation
from whep_server.rtc.ports import EachItsOwn, open_ports
from whep_server.settings import Settings
from whep_server.signaling.tokens import Scope
from whep_server.web.permissions import RULES, WEBSOCKET

pytestmark = pytest.mark.timeout(400)

CANARY = "canary-5f1d2c"
WAYS_OUT = (
    "..", "../..", "../../canary", "..%2f..%2fcanary", "%2e%2e%2f%2e%2e%2fcanary", "%252e%252e%252fcanary",
    "..%5c..%5ccanary", "....//canary", "nova%00.mp4", "nova%2f..%2f..%2f..%2fcanary", "%2fetc%2fpasswd", "~root",
    "nova%0d%0aX-Injected:%20yes", "%c0%ae%c0%ae%2fcanary", "canary.lnk", "x" * 5000, "con", "-rf", "*", "%ff%fe",
)  # fmt: skip


class Trap:
    """Listens on TCP and UDP, and counts who comes."""

    def __init__(self) -> None:
        self.caught: list[str] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = int(self._tcp.getsockname()[1])
        self._udp.bind(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._accept, self._receive)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            self.caught.append("TCP: " + connection.recv(200).decode("latin-1"))
            connection.close()

    def _receive(self) -> None:
        while data := self._udp.recv(2000):
            self.caught.append(f"UDP: {data!r}")

    @contextmanager
    def set(self) -> Iterator["Trap"]:
        for each in self._threads:
            each.start()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._udp.sendto(b"?", ("127.0.0.1", self.port))
        until_now(lambda: len(self.caught) == 2, 5, "the trap works")
        self.caught.clear()
        try:
            yield self
        finally:
            self._tcp.shutdown(socket.SHUT_RDWR)
            self._tcp.close()
            self._udp.sendto(b"", ("127.0.0.1", self.port))
            for each in self._threads:
                each.join(5)
            self._udp.close()


@dataclass
class Ground:
    """A server whose files lie beside others that are none of its business."""

    every: EveryRoute
    trap: Trap
    root: Path
    admin: dict[str, str] = field(default_factory=lambda: bearer(token(Scope.ADMIN)))

    def outside(self) -> dict[str, bytes]:
        """All files beside the server's own folders."""
        own = (self.root / "avatars", self.root / "tmp")
        found = (path for path in self.root.rglob("*") if path.is_file() and not any(o in path.parents for o in own))
        return {str(path): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    root = tmp_path_factory.mktemp("ground")
    for folder in (root, root / "avatars", root / "tmp"):
        folder.mkdir(exist_ok=True)
        (folder / "canary").write_text(CANARY)
    (root / "avatars" / "canary.lnk").symlink_to(root / "canary")
    trap = Trap()
    with trap.set(), every_route("reaching-out", avatars=str(root / "avatars")) as every:
        yield Ground(every, trap, root)


def lures(trap: Trap) -> list[str]:
    """What would be fetched or looked up, were it followed."""
    here = f"127.0.0.1:{trap.port}"
    return [f"http://{here}/a.wav", f"//{here}/", f"udp://{here}"]


def playlists(trap: Trap, schemes: Sequence[str]) -> Iterator[bytes]:
    """Files that name other files, in the formats of which FFmpeg knows that they do."""
    for url in (f"{scheme}://127.0.0.1:{trap.port}/etc/passwd" for scheme in schemes):
        yield f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n".encode()
        yield f"ffconcat version 1.0\nfile '{url}'\n".encode()
        yield f'<!DOCTYPE a [<!ENTITY b SYSTEM "{url}">]><MPD><BaseURL>{url}</BaseURL></MPD>'.encode()
        yield f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {trap.port} RTP/AVP 0\n".encode()
        yield f"[playlist]\nFile1={url}\n".encode()
        yield f"[Reference]\nRef1={url}\n".encode()
        yield f"RTSPtext{url}".encode()
        yield f'<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{url}"/></svg>'.encode()
        reference = f"\0\0\0\0\0\0\0\1{url}\0".encode()
        yield b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + (len(reference) + 8).to_bytes(4, "big") + b"rmra" + reference


def test_no_parameter_is_followed(ground: Ground):
    every, trap = ground.every, ground.trap
    for lure in lures(trap):
        names = (
            "avatar_id",
            "user_id",
            "voice",
            "model",
            "output_name",
            "url",
            "video_url",
            "audio_url",
            "callback",
            "role",
        )
        strange = {"Host": f"127.0.0.1:{trap.port}", "X-Forwarded-Host": f"127.0.0.1:{trap.port}", "Referer": lure}
        strange |= {"Origin": lure, "Forwarded": f"host={lure}", "Link": f"<{lure}>", "Last-Event-ID": lure}
        for route in RULES:
            method, path = route.split(" ")
            if method in (WEBSOCKET, "DELETE") or path.endswith("/events"):
                continue
            told = every.ask(method, every.path(path), {**ground.admin, **strange}, params=dict.fromkeys(names, lure))
            assert told.status < 500 or told.status == 503, (route, told)
            assert str(trap.port) not in told.headers.get("location", ""), route
        body = {"text": lure, "voice": lure[:128], "model": lure, "instructions": lure, "audio": lure}
        told = every.ask("POST", "/streams/demo/speech", ground.admin, json=body)
        assert told.status in (400, 409), told
    assert trap.caught == []


@pytest.mark.parametrize(
    "path", ["/streams/demo/speech", "/sessions/{session_id}/stream", "/generate", "/avatars/prepare"]
)
def test_no_file_that_names_others_is_followed(ground: Ground, path: str):
    every = ground.every
    for number, content in enumerate(
        playlists(ground.trap, ("http",) if "prepare" in path else ("http", "file", "udp"))
    ):
        form = dict.fromkeys(("audio_file", "video_file"), (f"../../canary{number}.m3u8", content))
        files = {"file": form["audio_file"]} if "speech" in path else form
        asked = {"avatar_id": f"lure{number}" if "prepare" in path else "nova"}
        told = every.ask("POST", every.path(path), ground.admin, params=asked, files=files)
        assert told.status < 500 or told.status == 503 or (told.status == 500 and "prepare" in path), told
        assert CANARY not in told.body and "root:" not in told.body
    assert ground.trap.caught == []


def test_no_path_leads_elsewhere(ground: Ground):
    every, before = ground.every, ground.outside()
    speech = wav(tone(0.1))
    for way in WAYS_OUT:
        for route in RULES:
            method, path = route.split(" ")
            if "{" not in path or method == WEBSOCKET:
                continue
            start, _, rest = path.partition("{")
            for filled in (start + way + rest.partition("}")[2], start + way):
                asked = filled.replace("{", "").replace("}", "")
                told = every.ask(method, asked, ground.admin, "from_disk=true" if method == "DELETE" else "")
                assert told.status in (200, 400, 404, 405, 409, 413, 415, 422, 428), (method, filled, told)
                assert told.status != 200 or method == "GET", (method, filled)
                assert CANARY not in told.body and "root:" not in told.body, (method, filled)
                assert "x-injected" not in told.headers
        for name in (way, quote(way, safe=""), f"../../{way}"):
            asked = {"avatar_id": name, "output_name": name, "user_id": name, "from_disk": "true"}
            form = {"audio_file": (name, speech), "video_file": (name, speech)}
            for path in ("/generate", "/avatars/prepare", "/sessions/create", "/webrtc/sessions/create"):
                told = every.ask("POST", path, ground.admin, params=asked, files=form)
                no_film = told.status == 500 and "not a video" in told.body  # as the original says it
                assert told.status in (400, 404, 422, 429) or no_film, (path, name, told)
            told = every.ask("POST", "/streams", ground.admin, json={"name": name, "avatar": name})
            assert told.status in (400, 404), (name, told)
    assert ground.outside() == before
    assert (ground.root / "avatars" / "canary").read_text() == CANARY


async def test_nobody_is_looked_up_or_knocked_at_for_strangers(ground: Ground):
    """Neither names nor TCP nor addresses where no peer can be; what stands last in an offer and is good is checked."""
    wrong = ["localhost", "metadata.google.internal", "a1b2c3d4.local", "169.254.169.254", "0.0.0.0", "224.0.0.1"]
    wrong += ["255.255.255.255", "::ffff:127.0.0.1", "fe80::1", "ff02::1", "::"]
    port = ground.trap.port
    lines = [f"a=candidate:1 1 udp 2130706431 {host} {port} typ host" for host in wrong]
    lines.append(f"a=candidate:1 1 tcp 2130706431 127.0.0.1 {port} typ host tcptype passive")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        good = f"a=candidate:2 1 udp 1 127.0.0.1 {peer.getsockname()[1]} typ host"
        offer = VIEWER.replace("a=end-of-candidates", "\r\n".join([*lines, good]))
        told = ground.every.ask("POST", "/whep/demo", {**SDP, **ground.admin}, content=offer)
        assert told.status == 201, told
        fragment = {"Content-Type": "application/trickle-ice-sdpfrag"}
        body = "\r\n".join(["a=mid:0", *lines, ""])
        assert ground.every.ask("PATCH", told.headers["location"], fragment, content=body).status in (204, 400)
        async with asyncio.timeout(10):
            check = await asyncio.get_running_loop().sock_recv(peer, 2000)
    assert check[4:8] == b"\x21\x12\xa4\x42"  # STUN's magic cookie (RFC 8489 section 5)
    assert ground.trap.caught == []


@pytest.mark.parametrize("served", [True, False])
async def test_a_candidate_on_loopback_is_checked_only_where_peers_on_it_are_served(served: bool):
    ours = Generation(lambda _: None, ice_controlling=False)
    ours.ports = EachItsOwn(loopback=served)
    for host in ("127.0.0.1", "127.255.0.1", "::1", "192.0.2.1"):
        await ours.add_remote_candidate(aioice.Candidate.from_sdp(f"1 1 udp 1 {host} 5000 typ host"))
    assert [each.host for each in ours.remote_candidates][-1] == "192.0.2.1"
    assert len(ours.remote_candidates) == (4 if served else 1)
    await ours.close()


@pytest.mark.parametrize(
    ("settings", "served"), [({}, True), ({"host": "0.0.0.0"}, False), ({"public_ip": "203.0.113.9"}, False)]
)
def test_who_serves_others_serves_nobody_on_loopback(settings: dict[str, str], served: bool):
    with open_ports(Settings(udp_port=0, **settings)) as ports:
        assert ports.loopback is served
