"""A WHEP and WHIP server that does as it is told, so that our pages meet what a good server never does: refusals, lost
connections, silence. Media is real (aiortc sends a small picture and a tone, and hears what is published); so are the
pages and assets.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aioice.ice
import jinja2
import pytest
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from tests.clients.scripted_media import Ear, Picture, Tone
from whep_server.settings import Settings
from whep_server.web.policy import content_policy

ROOT: Final = Path(__file__).parents[2]
TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".ogg": "audio/ogg",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
}
POLICY: Final = content_policy(Settings())
"""Sent with each page, as the real server does: a page that needs more than this breaks in the tests."""
CONFIG: Final = {
    "stream": "demo",
    "title": "Nova",
    "whep": "/whep/demo",
    "whip": "/whip/demo",
    "events": "/streams/demo/events",
    "speech": "/streams/demo/speech",
    "interrupt": "/streams/demo/interrupt",
    "samples": "/assets/speech/index.json",
    "poster": "/assets/avatars/nova/poster-1280x720.jpg",
    "loop": ["/assets/avatars/nova/loop.mp4", "/assets/avatars/nova/loop.webm"],
    "iceServers": [],
    "base": "",
    "width": 1280,
    "height": 720,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say to one request."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Endpoint:
    """How one protocol's requests are answered."""

    posts: deque[Answer] = field(default_factory=deque)
    """Answers to the next offers; when none is left, offers are served."""
    refusing: Answer | None = None
    """The answer to all offers, while it is set."""
    patch: Answer = field(default_factory=lambda: Answer(204))
    """The answer to candidates, which are used where it is a 204."""
    restart: Answer = field(default_factory=lambda: problem(422, "ICE restarts are not supported"))
    """The answer to a fragment with other ICE credentials."""
    extra: dict[str, str] = field(default_factory=dict)
    """More headers of the 201."""
    counters: bool = False
    """Whether offers are refused with one of our own (406)."""


@dataclass(slots=True)
class Peer:
    """One session."""

    connection: RTCPeerConnection
    ufrag: str = ""
    """Of the client's ICE."""


def problem(status: int, detail: str, **headers: str) -> Answer:
    """An error as the real server writes it."""
    body = {"type": "about:blank", "title": detail, "status": status, "detail": detail, "error": detail}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/problem+json", **headers}, json.dumps(body).encode())


class ScriptedWhep:
    """The application; tests read ``seen`` and ``ear``, and write the rest."""

    def __init__(self) -> None:
        self.base = ""
        self.seen: list[Seen] = []
        self.whep = Endpoint()
        self.whip = Endpoint()
        self.speech = Answer(202, {"Content-Type": "application/json"}, b'{"utterance":"u1","seconds":2.0,"queued":0}')
        self.speech_held: asyncio.Event | None = None
        """Speech is answered when it is set, where there is one."""
        self.interrupted = Answer(
            200, {"Content-Type": "application/json"}, b'{"utterance":"u1","played_samples":48000,"dropped":[]}'
        )
        self.no_events: Answer | None = None
        self.token: str | None = None
        """What requests have to bring, where it is set."""
        self.config = dict(CONFIG)
        self.streams: list[dict[str, object]] = []
        self.loud = False
        self.ear = Ear()
        """What the newest publisher says."""
        self.peers: dict[str, Peer] = {}
        """By their session's path."""
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._group: asyncio.TaskGroup

    def requests(self, method: str, prefix: str = "/whep/") -> list[Seen]:
        """What was asked for so far."""
        return [seen for seen in self.seen if seen.method == method and seen.path.startswith(prefix)]

    def tell(self, event: str, **data: object) -> None:
        """Send one event to all who listen."""
        for queue in self._listeners:
            queue.put_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    def cut_events(self) -> None:
        """End all event streams."""
        for queue in self._listeners:
            queue.put_nowait(None)

    async def cut_media(self) -> None:
        """Close all peer connections, as a server that ends."""
        peers, self.peers = self.peers, {}
        for peer in peers.values():
            await peer.connection.close()

    async def vanish(self) -> None:
        """Close the sockets under all peer connections, as a network that is gone: nobody says good-bye."""
        for peer in self.peers.values():
            ends = [*peer.connection.getSenders(), *peer.connection.getReceivers()]
            for transport in {end.transport.transport for end in ends}:
                await transport.stop()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        assert scope["type"] == "http"
        body = await read_body(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], scope["query_string"].decode(), headers, body)
        self.seen.append(seen)
        if not self._may(seen):
            await respond(send, problem(401, "a token is needed", WWW_Authenticate="Bearer"))
        elif seen.method == "GET" and seen.path.endswith("/events") and self.no_events is None:
            await self._send_events(send)
        else:
            await respond(send, await self._answer(seen))

    def _may(self, seen: Seen) -> bool:
        """Whether a request is allowed: pages and assets always are."""
        if self.token is None or not seen.path.startswith(("/whep/", "/whip/", "/streams/")):
            return True
        return seen.headers.get("authorization") == f"Bearer {self.token}" or seen.query == f"token={self.token}"

    async def _answer(self, seen: Seen) -> Answer:
        match seen.method, seen.path.split("/")[1:]:
            case "POST", ["whep", _, _, "events"]:
                return Answer(201, {"Location": f"{seen.path}/1/events"})
            case "POST", ["whep" | "whip" as protocol, *_]:
                return await self._post(seen, self.whep if protocol == "whep" else self.whip)
            case "PATCH", ["whep" | "whip" as protocol, _, _]:
                return await self._patch(seen, self.whep if protocol == "whep" else self.whip)
            case "DELETE", ["whep" | "whip", _, _]:
                peer = self.peers.pop(seen.path, None)
                if peer is not None:
                    await peer.connection.close()
                return Answer(200)
            case "POST", ["streams", _, "speech"]:
                if self.speech_held is not None:
                    await self.speech_held.wait()
                return self.speech
            case "POST", ["streams", _, "interrupt"]:
                return self.interrupted
            case "GET", ["streams", _, "events"]:
                assert self.no_events is not None
                return self.no_events
        return self._get(seen.path)

    def _get(self, path: str) -> Answer:
        if path == "/streams":
            body = json.dumps({"streams": self.streams}).encode()
            return Answer(200, {"Content-Type": "application/json"}, body)
        if path == "/":
            return page("landing.html", {"streams": self.streams, "base": ""})
        for start, template in {"/player/": "player.html", "/publish/": "publish.html"}.items():
            if path.startswith(start):
                return page(template, self.config)
        file = ROOT / path.lstrip("/")
        if path.startswith("/assets/") and file.is_file():
            return Answer(200, {"Content-Type": TYPES[file.suffix]}, file.read_bytes())
        return problem(404, "no such file")

    async def _post(self, seen: Seen, endpoint: Endpoint) -> Answer:
        if endpoint.refusing is not None:
            return endpoint.refusing
        if endpoint.posts:
            return endpoint.posts.popleft()
        offer = seen.body.decode()
        connection = RTCPeerConnection(RTCConfiguration([]))
        if endpoint is self.whep:
            self._send_media(connection)
        else:
            self._hear(connection)
        name = f"session{len(self.requests('POST', seen.path))}"
        location = f"{seen.path}/{name}"
        headers = {"Content-Type": "application/sdp", "Location": location, "ETag": f'"{name}-tag"'}
        if endpoint.counters:
            self.peers[location] = Peer(connection)
            await connection.setLocalDescription(await connection.createOffer())
            return Answer(406, headers, connection.localDescription.sdp.encode())
        self.peers[location] = Peer(connection, attribute(offer, "ice-ufrag"))
        text = "".join(line for line in offer.splitlines(True) if "a=end-of-candidates" not in line)
        await connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        answer = await connection.createAnswer()
        answer.sdp = answer.sdp.replace("a=setup:active", "a=setup:passive")
        await connection.setLocalDescription(answer)
        return Answer(201, headers | endpoint.extra, connection.localDescription.sdp.encode())

    def _send_media(self, connection: RTCPeerConnection) -> None:
        for track in (Picture(), Tone(lambda: self.loud)):
            transceiver = connection.addTransceiver(track, "sendonly")
            if track.kind == "video":
                codecs = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])

    def _hear(self, connection: RTCPeerConnection) -> None:
        self.ear = ear = Ear()

        def begin(track: MediaStreamTrack) -> None:
            self._group.create_task(ear.listen(track))

        connection.on("track", begin)

    async def _patch(self, seen: Seen, endpoint: Endpoint) -> Answer:
        peer = self.peers.get(seen.path)
        if peer is None:
            return problem(404, "no such session")
        if seen.headers["content-type"] == "application/sdp":
            await peer.connection.setRemoteDescription(RTCSessionDescription(seen.body.decode(), "answer"))
            return Answer(204)
        text = seen.body.decode()
        if attribute(text, "ice-ufrag") != peer.ufrag:
            return endpoint.restart
        if endpoint.patch.status == 204:
            for line in text.splitlines():
                if line.startswith("a=candidate:") and ".local" not in line and " tcp " not in line.lower():
                    candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
                    candidate.sdpMid = "0"
                    await peer.connection.addIceCandidate(candidate)
        return endpoint.patch

    async def _send_events(self, send: ASGISendCallable) -> None:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        queue.put_nowait(b'event: state\ndata: {"state": "idle"}\n\n')
        queue.put_nowait(b'event: viewers\ndata: {"viewers": 1}\n\n')
        self._listeners.add(queue)
        try:
            while (piece := await queue.get()) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            self._listeners.discard(queue)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def attribute(sdp: str, name: str) -> str:
    """The value of the first ``a=name:`` line."""
    return next(line.partition(":")[2] for line in sdp.splitlines() if line.startswith(f"a={name}:"))


async def read_body(receive: ASGIReceiveCallable) -> bytes:
    """All of a request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def respond(send: ASGISendCallable, answer: Answer) -> None:
    """One whole response."""
    headers = {"Content-Length": str(len(answer.body))} | answer.headers
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if answer.status == 204:
        lines = [(name, value) for name, value in lines if name != b"content-length"]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines, "trailers": False})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def page(name: str, config: dict[str, object]) -> Answer:
    """One of the product's pages, under a policy that allows it nothing it should not need."""
    loader = jinja2.FileSystemLoader(ROOT / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    body = environment.get_template(name).render(config=config, base="").encode()
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY}
    return Answer(200, headers, body)


@asynccontextmanager
async def scripted_whep(patch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedWhep]:
    """A running server on a free port of 127.0.0.1, which is also the only candidate that it offers."""
    patch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    app = ScriptedWhep()
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with config.bind_socket() as listener:
        app.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.TaskGroup() as app._group:
            app._group.create_task(server._serve([listener]))  # serve() would take the test runner's signal handlers
            try:
                yield app
            finally:
                app.cut_events()
                await app.cut_media()
                server.should_exit = True
