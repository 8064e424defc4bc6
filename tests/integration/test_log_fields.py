"""The log of a server with every secret set: each line says what it is about, and no secret is in any."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import httpx
import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.audio_files import tone, wav
from tests.clients.recording_viewer import loopback_candidates
from tests.clients.server_process import Server, running_server
from tests.clients.waiting import until
from tests.fake_live import FakeRegistry
from whep_server import log
from whep_server.log import shown_id

pytestmark = pytest.mark.timeout(400)  # the first server waits for the idle loop to be encoded

SECRETS = {
    "watch_token": "watch-hush-1",
    "publish_token": "publish-hush-2",
    "turn_pass": "turn-hush-3",
    "turn_secret": "shared-hush-4",
    "tts_key": "speech-hush-5",
}
NOBODY = {"turn_urls": "turn:127.0.0.1:9?transport=tcp", "tts_url": "http://127.0.0.1:9/v1"}
"""A TURN server and a speech endpoint that are not there; the names and the key are sent to them all the same."""


@dataclass
class Visit:
    """What was said to a server, as far as its log may not repeat it."""

    client: httpx.AsyncClient
    hushed: set[str] = field(default_factory=set)

    async def join(self, path: str, connection: RTCPeerConnection) -> str:
        """The path of a session, connected."""
        with loopback_candidates():
            await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        answer = await self.client.post(path, content=offer, headers={"Content-Type": "application/sdp"})
        assert answer.status_code == 201, answer.text
        self.hushed |= set(re.findall(r"a=ice-pwd:(\S+)", offer + answer.text))
        self.hushed |= set(re.findall(r'credential="([^"]+)"', answer.headers["Link"]))
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await until(lambda: connection.connectionState == "connected", 20, "connected")
        return str(answer.headers["Location"])

    async def speak(self, stream: str, content: bytes, kind: str = "audio/wav") -> httpx.Response:
        path = f"/streams/{stream}/speech"
        return await self.client.post(path, content=content, headers={"Content-Type": kind})


def entries(server: Server) -> list[dict]:
    """The lines of its log; what it tells a person at the start stands between them."""
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def endings(server: Server, name: str) -> list[str]:
    """What ended, by the name of its field."""
    return [entry[name] for entry in entries(server) if name in entry and entry["logger"].endswith("journal")]


async def test_every_line_says_what_it_is_about_and_no_secret_is_in_any():
    small = {"width": "512", "height": "512", "fps": "10"}
    with running_server(
        log_name="log-fields", log_json="true", log_level="DEBUG", **small, **SECRETS, **NOBODY
    ) as server:
        viewer, publisher = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        token = {"Authorization": f"Bearer {SECRETS['publish_token']}"}
        async with httpx.AsyncClient(base_url=server.base, timeout=30, trust_env=False, headers=token) as client:
            visit = Visit(client, {*SECRETS.values(), "wrong-hush-6"})
            viewer.addTransceiver("video", "recvonly")
            viewer.addTransceiver("audio", "recvonly")
            watched = await visit.join("/whep/demo", viewer)
            refused = await client.post("/whep/demo?token=wrong-hush-6", headers={"Authorization": ""})
            assert refused.status_code == 401
            created = (await client.post("/webrtc/sessions/create?avatar_id=nova&user_id=u")).json()["session_id"]
            assert (await visit.speak("demo", b"not audio at all" * 100)).status_code == 422
            for stream in ("demo", created):
                assert (await visit.speak(stream, b"Hello.", "text/plain")).status_code == 503
            utterance = (await visit.speak("demo", wav(tone(0.5)))).json()["utterance"]
            await until(lambda: utterance in endings(server, "utterance"), 30, "spoken")
            publisher.addTransceiver(AudioStreamTrack(), "sendonly")
            published = await visit.join("/whip/demo", publisher)
            for path in (published, watched):
                assert (await client.delete(path)).status_code == 200
            await until(lambda: len(endings(server, "session")) == 2, 20, "sessions ended")
        await viewer.close()
        await publisher.close()
    text = server.log.read_text()
    ids = [path.rpartition("/")[2] for path in (watched, published)]
    hushed = {*visit.hushed, *ids, created}
    assert len(hushed) >= 13  # four ends of ICE, two TURN logins at least
    assert not [secret for secret in hushed if secret in text]
    assert not re.search(r"v=0\\r|a=ice-|a=candidate|BEGIN ", text)
    lines = entries(server)
    assert all(entry["stream"] == "demo" for entry in lines if "stream demo" in entry["message"])
    assert all(entry["utterance"] in entry["message"] for entry in lines if "utterance " in entry["message"])
    sessions = {entry["kind"]: entry for entry in lines if entry["logger"].endswith("journal") and "session" in entry}
    for kind, secret in zip(("viewer", "publisher"), ids, strict=True):
        assert (sessions[kind]["stream"], sessions[kind]["session"]) == ("demo", shown_id(secret))
    untold = [entry for entry in lines if "was not synthesized" in entry["message"]]
    assert [entry["stream"] for entry in untold] == ["demo", f"unlisted/{shown_id(created)}"]
    refusal = next(entry for entry in lines if entry["logger"] == "avatar.studio" and "refused" in entry["message"])
    assert refusal["stream"] == "demo" and refusal["utterance"] in refusal["message"]


async def test_a_fault_of_ours_says_in_which_stream_and_session_it_was(http: httpx.AsyncClient, live: FakeRegistry):
    demo = live.by_name["demo"]
    session = await demo.open_viewer("v=0")
    await live.put_on_air("a-secret-name", "nova", demo.format, listed=False)
    session.patch = live.by_name["a-secret-name"].open_viewer = broken  # type: ignore[method-assign]
    with logged_as_json() as lines:
        fragment = {"Content-Type": "application/trickle-ice-sdpfrag"}
        assert (await http.patch(f"/whep/demo/{session.id}", content="a=x", headers=fragment)).status_code == 500
        offer = {"Content-Type": "application/sdp"}
        assert (await http.post("/whep/a-secret-name", content="v=0", headers=offer)).status_code == 500
        assert (await http.get("/whep/demo/none/events")).status_code == 404
        told = [{name: entry.get(name) for name in ("stream", "session")} for entry in map(json.loads, lines())]
    assert told == [
        {"stream": "demo", "session": shown_id(session.id)},
        {"stream": f"unlisted/{shown_id('a-secret-name')}", "session": None},
    ]


async def broken(_: str) -> NoReturn:
    raise RuntimeError("a mistake of ours")


@contextmanager
def logged_as_json() -> Iterator[Callable[[], list[str]]]:
    """What is logged in the block, as lines."""
    root = logging.getLogger()
    level, handlers, written = root.level, list(root.handlers), io.StringIO()
    log.configure("INFO", as_json=True, stream=written)
    try:
        yield lambda: written.getvalue().splitlines()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
