"""Nonsense from one client while another watches: the first is told so, the second notices nothing."""

import io
import wave
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import numpy as np
import pytest

from tests.clients.event_log import listening, speak
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence
from tests.greeting import without_greeting

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

SDP = {"Content-Type": "application/sdp"}
MIB = bytes(1024 * 1024)


def silence(seconds: int, rate_hz: int = 8000) -> bytes:
    """A WAV file of digital silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(bytes(2 * rate_hz * seconds))
    return file.getvalue()


async def endless() -> AsyncIterator[bytes]:
    """An upload far above any limit, of no declared length; whoever reads it should stop early."""
    yield sentence().wav[:44]
    for _ in range(2048):
        yield MIB


async def nonsense(client: httpx.AsyncClient, offer: str) -> dict[str, int]:
    """Send it all; the status of each answer."""
    speech, whep = "/streams/demo/speech", "/whep/demo"
    without_video = offer.replace("H264/90000", "XYZ4/90000").replace("VP8/90000", "XYZ8/90000")
    answers = {
        "noise": await client.post(speech, content=np.random.default_rng(1).bytes(100_000)),
        "empty": await client.post(speech, content=b""),
        "text": await client.post(speech, content=b"not audio at all\n" * 100),
        "header only": await client.post(speech, content=sentence().wav[:44]),
        "unknown stream": await client.post("/streams/nobody/speech", content=sentence().wav),
        "not sdp": await client.post(whep, content="hello", headers=SDP),
        "no common codec": await client.post(whep, content=without_video, headers=SDP),
        "no such stream": await client.post("/whep/nobody", content=offer, headers=SDP),
        "no such session": await client.delete("/whep/demo/AAAAAAAAAAAAAAAAAAAAAA"),
        "three hours": await client.post(speech, content=silence(3 * 3600, rate_hz=2000)),
    }
    return {name: answer.status_code for name, answer in answers.items()}


async def too_large(client: httpx.AsyncClient) -> int | None:
    """The status of a 2 GiB upload; None where the server cut it off before the answer could be read."""
    try:
        return (await client.post("/streams/demo/speech", content=endless())).status_code
    except httpx.NetworkError:
        return None


async def test_a_viewer_notices_nothing(server: Server):
    async with (
        listening(server.base) as events,
        watching(server.whep()) as viewer,
        httpx.AsyncClient(base_url=server.base, timeout=60, trust_env=False) as client,
    ):
        worker = server.worker().pid
        statuses = await nonsense(client, viewer.connection.localDescription.sdp)
        large = await too_large(client)
        quiet_until = viewer.video.packets[-1].rtp_time
        utterance = await speak(server.base, silence(1))
        await events.wait(30, "speech", state="finished", utterance=utterance)
        await viewer.wait_pictures(25)

    assert all(400 <= status < 500 for status in statuses.values()), statuses
    assert large in (413, None)
    assert server.worker().pid == worker
    assert viewer.video.lost() == viewer.audio.lost() == 0
    idle = [time for time in viewer.video.times() if time <= quiet_until]
    assert {later - earlier for earlier, later in pairwise(without_greeting(idle))} == {3600}
    assert {later - earlier for earlier, later in pairwise(viewer.audio.times())} == {960}
