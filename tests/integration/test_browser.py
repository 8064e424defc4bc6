"""Chromium on the player page: one click, idle, a spoken sample, idle again, on one connection without a hitch."""

import os
from dataclasses import dataclass
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


ROUNDS = 3
"""A busy machine stutters now and then, a switch that freezes does so each time: one clean round of these is wanted."""


@dataclass(frozen=True, slots=True)
class Round:
    """Where in the pictures shown the switches of one sentence are: (first, last) frame about each."""

    into_speech: tuple[int, int]
    back_to_idle: tuple[int, int]


async def shown(page: Page, pictures: int) -> int:
    """Wait for so many more pictures; how many there are then."""
    count = await page.evaluate("__probe.frames.length") + pictures
    await page.wait_for_function(f"__probe.frames.length >= {count}", timeout=60_000)
    return count


async def speak_sample(page: Page, events: EventLog, number: int) -> Round:
    """Click a sample sentence and watch it being spoken to its end."""
    asked = await shown(page, 0)
    await page.click(SAMPLE)
    started = await events.wait_nth(20, number, "speech", state="started")
    speaking = await shown(page, 40)
    if SCREENSHOT:
        await page.screenshot(path=Path(SCREENSHOT))
    await events.wait(SPOKEN_S, "speech", state="finished", utterance=started.data["utterance"])
    finished = await shown(page, 0)
    await events.wait_idle(10)
    return Round((asked, speaking), (finished - 25, await shown(page, 50)))


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
        rounds = [await speak_sample(page, events, number) for number in range(ROUNDS)]
        loud = await page.evaluate("__probe.polls.at(-1)")
        await shown(page, 75)
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
    freezes = [
        max(recording.longest_freeze_s(*one.into_speech), recording.longest_freeze_s(*one.back_to_idle))
        for one in rounds
    ]
    assert min(freezes) <= 0.2, freezes

    assert recording.readings_without_sound() == 0
    assert abs(recording.sound_packets_missing()) <= 10
    assert recording.grew("audio", "packetsLost") == 0
    spoken = loud["audio"]["totalAudioEnergy"] - quiet["audio"]["totalAudioEnergy"]
    assert spoken > 10 * quiet["audio"]["totalAudioEnergy"] and spoken > 0.001
