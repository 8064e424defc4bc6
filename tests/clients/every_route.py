"""Every route of a running server, names of what is really there in its path: who is let in, who is not?"""

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.audio_files import tone, wav
from tests.clients.server_process import Server, running_server
from tests.strategies import OFFERS
from whep_server.signaling.tokens import EVERY, Grant, Scope, Secret, sign
from whep_server.web.pcm_messages import SUBPROTOCOL
from whep_server.web.permissions import WEBSOCKET

SDP = {"Content-Type": "application/sdp"}
VIEWER = (OFFERS / "recorded" / "aiortc-1.16.0-h264-whep.sdp").read_text()
PUBLISHER = (OFFERS / "recorded" / "aiortc-1.16.0-whip.sdp").read_text()
SECRET, FOREIGN = Secret("", "9b1c5e7f" * 8), Secret("", "27d4a60e" * 8)
SETTINGS = {"width": "512", "height": "512", "fps": "10", "join_timeout_s": "600", "upload_stall_s": "3"}
"""A session that nobody connects is there as long as a test looks at it."""


def token(*scopes: Scope, stream: str = EVERY, left_s: float = 600, secret: Secret = SECRET) -> str:
    """A signed one."""
    return sign(secret, Grant(frozenset(scopes), stream), round(time.time() + left_s))


def bearer(value: str) -> dict[str, str]:
    """The header that carries it."""
    return {"Authorization": f"Bearer {value}"}


@dataclass(frozen=True)
class Told:
    """What came of one request."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def challenge(self) -> str:
        return self.headers.get("www-authenticate", "")


@dataclass
class EveryRoute:
    """A server that asks for tokens, and what is on it: each parameter of a path, by the beginning of the path."""

    server: Server
    http: httpx.Client
    there: dict[str, dict[str, str]] = field(default_factory=dict)

    def routes(self) -> list[str]:
        """As the server's own description names them; a WebSocket is none of OpenAPI's."""
        paths = self.http.get("/openapi.json").json()["paths"]
        found = [f"{method.upper()} {path}" for path, operations in paths.items() for method in operations]
        return sorted([*found, f"{WEBSOCKET} /streams/{{stream}}/pcm"])

    def path(self, template: str) -> str:
        """A route's path, filled in."""
        start = max((start for start in self.there if template.startswith(start)), key=len, default="")
        return template.format_map({**self.there[""], **self.there.get(start, {})})

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, query: str = "", **more: object
    ) -> Told:
        """A request, or a handshake that is to be refused; of an answer without an end only its beginning is read."""
        address = f"{path}?{query}" if query else path
        if method == WEBSOCKET:
            return self._shake_hands(address, headers or {})
        with self.http.stream(method, address, headers=headers, **more) as response:  # type: ignore[arg-type]
            endless = response.headers.get("content-type", "").startswith("text/event-stream")
            body = "" if endless else response.read().decode(errors="replace")
            return Told(response.status_code, response.headers, body)

    def _shake_hands(self, address: str, headers: Mapping[str, str]) -> Told:
        url = f"{self.server.base.replace('http', 'ws', 1)}{address}"
        offered = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", SUBPROTOCOL).split(",")]
        lines = {name: value for name, value in headers.items() if name != "Sec-WebSocket-Protocol"}
        try:
            with connect(url, additional_headers=lines, subprotocols=offered, proxy=None) as socket:  # type: ignore[arg-type]
                return Told(101, {}, str(socket.recv(timeout=10)))
        except InvalidStatus as refused:
            answer = refused.response
            return Told(answer.status_code, dict(answer.headers), (answer.body or b"").decode())


def offered(value: str) -> str:
    """A token as a subprotocol."""
    return "bearer." + base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


@contextmanager
def every_route(log_name: str, **settings: str) -> Iterator[EveryRoute]:
    """A server with a viewer, a publisher, and sessions and files of the original's kind."""
    given = {"token_secrets": SECRET.key, "requests_per_s": "0", "offers_per_s": "0", **SETTINGS, **settings}
    with (
        running_server(log_name=log_name, **given) as server,
        httpx.Client(base_url=server.base, timeout=30, trust_env=False) as http,
    ):
        every = EveryRoute(server, http)
        _put_there(every, bearer(token(Scope.ADMIN)))
        yield every


def _put_there(every: EveryRoute, admin: Mapping[str, str]) -> None:
    http, speech = every.http, {"audio_file": ("a.wav", wav(tone(0.3)), "audio/wav")}
    made = {
        path: http.post(f"{path}/create", params={"avatar_id": "nova"}, headers=admin).json()["session_id"]
        for path in ("/sessions", "/webrtc/sessions")
    }
    spoken = http.post(f"/sessions/{made['/sessions']}/stream", files=speech, headers=admin).json()
    film = http.post("/generate", params={"avatar_id": "nova"}, files=speech, headers=admin).json()
    junk = {"video_file": ("a.mp4", b"no video", "video/mp4")}
    job = http.post("/avatars/prepare", params={"avatar_id": "junk", "wait": "false"}, files=junk, headers=admin).json()
    located = {
        kind: http.post(f"/{kind}/demo", content=offer, headers={**SDP, **admin}).raise_for_status().headers["location"]
        for kind, offer in (("whep", VIEWER), ("whip", PUBLISHER))
    }
    events = http.post(f"{located['whep']}/events", headers=admin).raise_for_status().headers["location"]
    every.there = {
        "": {"stream": "demo", "avatar_id": "nova", "name": "demo", "job_id": film["request_id"]} | {"job": job["job"]},
        "/assets/": {"name": "player/player.js"},
        "/chunks/": {"request_id": spoken["request_id"], "name": "chunk_0000.mp4"},
        "/whep/": {"session": located["whep"].rpartition("/")[2], "events": events.rpartition("/")[2]},
        "/whip/": {"session": located["whip"].rpartition("/")[2]},
        **{start: {"session_id": made["/sessions"]} for start in ("/sessions/", "/player/session/")},
        **{start: {"session_id": made["/webrtc/sessions"]} for start in ("/webrtc/sessions/", "/webrtc/player/")},
    }
