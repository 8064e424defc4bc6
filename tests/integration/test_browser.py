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
from tests.clients.waiting import until_page

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

SCREENSHOT = os.environ.get("SCREENSHOT")
"""Where to put a picture of the player while it speaks; none is taken without."""
SPOKEN_S = 60.0
"""No sample sentence is so long."""
ROUNDS = 3
"""A busy machine stutters now and then, a fault of the stream is there each time: one clean round is wanted."""
STILL = 75
"""Pictures of idle before and after the sentence."""


@dataclass(frozen=True, slots=True)
class Round:
    """One sentence between two stretches of idle."""

    recording: Recording
    into_speech: tuple[int, int]
    """First and last of the pictures shown about the switch."""
    back_to_idle: tuple[int, int]

    def faults(self) -> list[str]:
        """Whatever a viewer could have noticed."""
        recording = self.recording
        rates = recording.frame_rates(window_s=4)
        freezes = [recording.longest_freeze_s(*switch) for switch in (self.into_speech, self.back_to_idle)]
        judged = {
            f"pictures a second: {min(rates)} to {max(rates)}": min(rates) >= 24 and max(rates) <= 26,
            f"freezes at the switches: {freezes} s": max(freezes) <= 0.2,
            f"media time left out: {recording.longest_picture_gap_s()} s": recording.longest_picture_gap_s() <= 0.2,
            "packets lost": recording.grew("video", "packetsLost") == recording.grew("audio", "packetsLost") == 0,
            f"sound packets missing: {recording.sound_packets_missing()}": abs(recording.sound_packets_missing()) <= 5,
            "sound stopped": recording.readings_without_sound() == 0,
        }
        return [fault for fault, fine in judged.items() if not fine]


async def shown(page: Page, pictures: int) -> int:
    """Wait for so many more pictures; how many there are then."""
    count = await page.evaluate("__probe.frames.length") + pictures
    await until_page(page, f"__probe.frames.length >= {count}", 60)
    return int(count)


async def speak_sample(page: Page, events: EventLog, number: int) -> Round:
    """Click a sample sentence and watch it from idle to idle."""
    await page.evaluate("void Object.assign(__probe, { frames: [], polls: [] })")
    asked = await shown(page, STILL)
    await page.click(SAMPLE)
    started = await events.wait_nth(20, number, "speech", state="started")
    speaking = await shown(page, 40)
    if SCREENSHOT:
        await page.screenshot(path=Path(SCREENSHOT))
    await events.wait(SPOKEN_S, "speech", state="finished", utterance=started.data["utterance"])
    finished = await shown(page, 0)
    await events.wait_idle(10)
    ended = await shown(page, STILL)
    probe = await page.evaluate("({ polls: __probe.polls, frames: __probe.frames })")
    return Round(Recording(probe["polls"], probe["frames"]), (asked, speaking), (finished - 25, ended))


async def clean_round(page: Page, events: EventLog) -> Round:
    """Speak until it goes without a fault.

    Errors: AssertionError with the faults of every round, where none does.
    """
    attempts: list[list[str]] = []
    for number in range(ROUNDS):
        spoken = await speak_sample(page, events, number)
        attempts.append(spoken.faults())
        if not attempts[-1]:
            return spoken
    raise AssertionError(f"no clean round: {attempts}")


async def test_one_click_then_idle_speech_idle_without_a_hitch(server: Server):
    async with listening(server.base) as events, chromium_page(f"{server.base}/player/demo") as page:
        await page.click(PLAY)
        await until_page(page, "document.querySelector('#live').currentTime > 1")
        await page.evaluate("void __probe.record()")
        spoken = await clean_round(page, events)
        probe = await page.evaluate("({ ...__probe, connections: __probe.connections.length })")

    first, last = spoken.recording.polls[0], spoken.recording.polls[-1]
    assert (last["video"]["mimeType"], last["audio"]["mimeType"]) == ("video/H264", "audio/opus")
    assert last["audio"]["totalAudioEnergy"] - first["audio"]["totalAudioEnergy"] > 0.001
    assert probe["errors"] == []

    # idle, speech and idle were one session: one offer, one answer, never again
    assert probe["connections"] == 1
    assert (probe["calls"]["setLocalDescription"], probe["calls"]["setRemoteDescription"]) == (1, 1)
    assert probe["requests"].count("POST /whep/demo") == 1
