"""Chromium on the player page: one click, idle, a spoken sample, idle again, on one connection without a hitch."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.clients.browser_report import Recording
from tests.clients.chromium import chromium_page
from tests.clients.event_log import EventLog, listening
from tests.clients.player_page import PLAY, SAMPLE
from tests.clients.server_process import Server

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

SCREENSHOT = os.environ.get("SCREENSHOT")
"""Where to put a picture of the player while it speaks; none is taken without."""
SPOKEN_S = 60.0
"""No sample sentence is so long."""


async def shown(page: Page, pictures: int) -> None:
    """Wait for so many more pictures."""
    count = await page.evaluate("__probe.frames.length")
    await page.wait_for_function(f"__probe.frames.length >= {count + pictures}", timeout=60_000)


async def speak_sample(page: Page, events: EventLog) -> None:
    """Click a sample sentence and watch it being spoken to its end."""
    await page.click(SAMPLE)
    started = await events.wait(20, "speech", state="started")
    if SCREENSHOT:
        await shown(page, 30)
        await page.screenshot(path=Path(SCREENSHOT))
    utterance = started.data["utterance"]
    await events.wait(SPOKEN_S, "speech", state="finished", utterance=utterance)
    await events.wait_idle(10)


async def test_one_click_then_idle_speech_idle_without_a_hitch(server: Server):
    async with listening(server.base) as events, chromium_page(f"{server.base}/player/demo") as page:
        await page.click(PLAY)
        await page.wait_for_function(
            "__probe.connections.length && __probe.connections[0].connectionState == 'connected'"
        )
        await page.wait_for_function("document.querySelector('#live').currentTime > 1")
        await page.evaluate("void __probe.record()")
        await shown(page, 125)
        quiet = await page.evaluate("__probe.polls.at(-1)")
        await speak_sample(page, events)
        loud = await page.evaluate("__probe.polls.at(-1)")
        await shown(page, 125)
        probe = await page.evaluate("({ ...__probe, connections: __probe.connections.length })")
    recording = Recording(probe["polls"], probe["frames"])

    last = recording.polls[-1]
    assert (last["video"]["mimeType"], last["audio"]["mimeType"]) == ("video/H264", "audio/opus")
    assert probe["errors"] == []

    # idle, speech and idle were one session: one offer, one answer, never again
    assert probe["connections"] == 1
    assert (probe["calls"]["setLocalDescription"], probe["calls"]["setRemoteDescription"]) == (1, 1)
    assert probe["requests"].count("POST /whep/demo") == 1

    rates = recording.frame_rates(window_s=4)
    assert rates and min(rates) >= 24 and max(rates) <= 26
    assert recording.grew("video", "packetsLost") == 0
    assert recording.longest_picture_gap_s() <= 0.2
    assert recording.grew("video", "freezeCount") == 0  # Chromium's freeze: 150 ms above the mean interval

    assert recording.readings_without_sound() == 0
    assert abs(recording.sound_packets_missing()) <= 10
    assert recording.grew("audio", "packetsLost") == 0
    spoken = loud["audio"]["totalAudioEnergy"] - quiet["audio"]["totalAudioEnergy"]
    assert spoken > 10 * quiet["audio"]["totalAudioEnergy"] and spoken > 0.001
