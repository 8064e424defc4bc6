"""The worker is killed in mid-sentence: viewers stay, see the idle portrait at once, and are spoken to again soon."""

import asyncio
from itertools import pairwise

import httpx
import pytest

from tests.clients.event_log import EventLog, listening, speak
from tests.clients.picture_steps import FRAME_TICKS, Aligned, Reference
from tests.clients.recording_viewer import VIDEO_HZ, Viewer, watching
from tests.clients.server_process import Server, running_server
from tests.clients.speech_files import sentence

pytestmark = pytest.mark.timeout(400)

IDLE_WITHIN = VIDEO_HZ // 5
"""200 ms."""
SPEAKS_WITHIN_S = 60.0
"""A worker's start, on a machine that other tests share."""
OPUS_TICKS = 960


async def speak_again(server: Server, events: EventLog) -> str:
    """Have a sentence accepted and begun, trying while the server says that it cannot yet."""
    while True:
        async with httpx.AsyncClient(base_url=server.base, timeout=10, trust_env=False) as client:
            response = await client.post("/streams/demo/speech", content=sentence().wav)
        if response.status_code == 202:
            utterance = str(response.json()["utterance"])
            await events.wait(SPEAKS_WITHIN_S, "speech", state="started", utterance=utterance)
            return utterance
        assert response.status_code == 503, response.text
        assert "Retry-After" in response.headers
        await asyncio.sleep(0.1)


def assert_uninterrupted(viewer: Viewer) -> None:
    """Every packet came, sound without a gap, pictures with none above 200 ms."""
    assert viewer.connection.connectionState == "connected"
    assert viewer.video.lost() == viewer.audio.lost() == 0
    assert {later - earlier for earlier, later in pairwise(viewer.audio.times())} == {OPUS_TICKS}
    assert max(later - earlier for earlier, later in pairwise(viewer.video.times())) <= IDLE_WITHIN


def assert_idle_from(viewer: Viewer, sent: int, killed_at: int, until_time: int) -> None:
    """From 200 ms after the kill, every picture is the idle one, as near as idle pictures were before the sentence."""
    aligned = Aligned(Reference(), viewer.pictures)
    ordinary = max(aligned.from_idle(position) for position in range(sent))
    spoken = [p for p, one in enumerate(viewer.pictures) if sent <= p and one.rtp_time <= killed_at]
    assert max(aligned.from_idle(position) for position in spoken) > 1.5 * ordinary  # it was speaking
    later = [
        position
        for position, one in enumerate(viewer.pictures)
        if killed_at + IDLE_WITHIN + FRAME_TICKS <= one.rtp_time <= until_time
    ]
    assert len(later) >= 25
    assert max(aligned.from_idle(position) for position in later) <= 1.2 * ordinary


async def test_viewers_stay_and_speech_returns():
    with running_server(log_name="worker-loss") as server:
        async with (
            listening(server.base) as events,
            watching(server.whep()) as one,
            watching(server.whep()) as other,
        ):
            viewers = (one, other)
            await one.wait_pictures(200)  # a whole idle loop to compare with
            sent = [len(viewer.pictures) for viewer in viewers]
            utterance = await speak(server.base, sentence().wav)
            await events.wait(20, "speech", state="started", utterance=utterance)
            await one.wait_pictures(25)

            victim = server.worker()
            killed_at = [viewer.video.packets[-1].rtp_time for viewer in viewers]
            victim.kill()
            failed = await events.wait(5, "speech", state="failed", utterance=utterance)
            assert failed.data["detail"]
            await one.wait_pictures(50)
            idle_until = [viewer.pictures[-1].rtp_time for viewer in viewers]

            async with asyncio.timeout(SPEAKS_WITHIN_S):
                again = await speak_again(server, events)
            await events.wait(60, "speech", state="finished", utterance=again)
            assert server.worker().pid != victim.pid
            for viewer in viewers:
                assert_uninterrupted(viewer)
    for viewer, *moments in zip(viewers, sent, killed_at, idle_until, strict=True):
        assert_idle_from(viewer, *moments)
