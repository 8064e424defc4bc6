"""A WHEP server that does as it is told, so that a player meets what a good server never does: refusals, lost
connections, silence. Media is real (aiortc encodes a small picture and a tone); so are the pages and assets.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import aioice.ice
import av
import jinja2
import numpy as np
import pytest
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

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
POLICY: Final = "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'"
"""Sent with each page: a page that needs more than this breaks in the tests."""
CONFIG: Final = {
    "stream": "demo",
    "title": "Nova",
    "whep": "/whep/demo",
    "events": "/streams/demo/events",
    "speech": "/streams/demo/speech",
    "samples": "/assets/speech/index.json",
    "poster": "/assets/avatars/nova/poster-1280x720.jpg",
    "loop": ["/assets/avatars/nova/loop.mp4", "/assets/avatars/nova/loop.webm"],
    "iceServers": [],
    "base": "",
    "width": 1280,
    "height": 720,
}


class Picture(MediaStreamTrack):
    """A small moving picture, 10 a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.1)
        self.count += 1
        pixels = np.full((180, 320, 3), (120, 150, 190), np.uint8)
        pixels[60:120, self.count % 260 : self.count % 260 + 60] = 240
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self.count * 9000, Fraction(1, 90000)
        return frame


class Tone(MediaStreamTrack):
    """Silence, or a tone while ``loud`` says so."""

    kind = "audio"

    def __init__(self, loud: Callable[[], bool]) -> None:
        super().__init__()
        self.count = 0
        self.loud = loud

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.02)
        times = (np.arange(960) + self.count) / 48000
        samples = (np.sin(2 * np.pi * 440 * times) * 8000 * self.loud()).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.count, Fraction(1, 48000)
        self.count += 960
        return frame


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
    headers: dict[str, str]
    body: bytes


def problem(status: int, detail: str, **headers: str) -> Answer:
    """An error as the real server writes it."""
    body = {"type": "about:blank", "title": detail, "status": status, "detail": detail, "error": detail}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/problem+json", **headers}, json.dumps(body).encode())


class ScriptedWhep:
    """The application; tests read ``seen`` and write the rest."""

    def __init__(self) -> None:
        self.base = ""
        self.seen: list[Seen] = []
        self.posts: deque[Answer] = deque()
        """Answers to the next offers; when none is left, offers are served."""
        self.refusing: Answer | None = None
        """The answer to all offers, while it is set."""
        self.patch = Answer(204)
        self.speech = Answer(202, {"Content-Type": "application/json"}, b'{"utterance":"u1","seconds":2.0,"queued":0}')
        self.no_events: Answer | None = None
        self.config = dict(CONFIG)
        self.streams: list[dict[str, object]] = []
        self.extra: dict[str, str] = {}
        """More headers of the 201."""
        self.loud = False
        self.peers: dict[str, RTCPeerConnection] = {}
        self._listeners: set[asyncio.Queue[bytes | None]] = set()

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
            await peer.close()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        assert scope["type"] == "http"
        body = await read_body(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        seen = Seen(scope["method"], scope["path"], headers, body)
        self.seen.append(seen)
        if seen.path.endswith("/events") and self.no_events is None:
            await self._send_events(send)
            return
        await respond(send, await self._answer(seen))

    async def _answer(self, seen: Seen) -> Answer:
        match seen.method, seen.path.split("/")[1:]:
            case "POST", ["whep", *_]:
                return await self._post(seen)
            case "PATCH", ["whep", _, name]:
                return await self._patch(name, seen.body.decode())
            case "DELETE", ["whep", _, name]:
                peer = self.peers.pop(name, None)
                if peer is not None:
                    await peer.close()
                return Answer(200)
            case "POST", ["streams", _, "speech"]:
                return self.speech
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
        if path.startswith("/player/"):
            return page("player.html", self.config)
        file = ROOT / path.lstrip("/")
        if path.startswith("/assets/") and file.is_file():
            return Answer(200, {"Content-Type": TYPES[file.suffix]}, file.read_bytes())
        return problem(404, "no such file")

    async def _post(self, seen: Seen) -> Answer:
        if self.refusing is not None:
            return self.refusing
        if self.posts:
            return self.posts.popleft()
        peer = RTCPeerConnection(RTCConfiguration([]))
        for track in (Picture(), Tone(lambda: self.loud)):
            transceiver = peer.addTransceiver(track, "sendonly")
            if track.kind == "video":
                codecs = RTCRtpSender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
        offer = "".join(line for line in seen.body.decode().splitlines(True) if "a=end-of-candidates" not in line)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        answer = await peer.createAnswer()
        answer.sdp = answer.sdp.replace("a=setup:active", "a=setup:passive")
        await peer.setLocalDescription(answer)
        name = f"session{len(self.requests('POST'))}"
        self.peers[name] = peer
        headers = {"Content-Type": "application/sdp", "Location": f"{seen.path}/{name}", "ETag": f'"{name}-tag"'}
        return Answer(201, headers | self.extra, peer.localDescription.sdp.encode())

    async def _patch(self, name: str, text: str) -> Answer:
        if self.patch.status == 204 and name in self.peers:
            for line in text.splitlines():
                if line.startswith("a=candidate:") and ".local" not in line and " tcp " not in line.lower():
                    candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
                    candidate.sdpMid = "0"
                    await self.peers[name].addIceCandidate(candidate)
        return self.patch

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
        async with asyncio.TaskGroup() as group:
            group.create_task(server._serve([listener]))  # serve() would take the test runner's signal handlers
            try:
                yield app
            finally:
                app.cut_events()
                await app.cut_media()
                server.should_exit = True
