"""Our own pages against the real server: a microphone makes the face speak, and a changed network is survived."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, Page, Response, expect

from tests.clients.event_log import EventLog, listening
from tests.clients.picture_steps import FRAME_TICKS, Aligned, Reference, luma_of, window
from tests.clients.recording_viewer import Viewer, watching
from tests.clients.server_process import Server
from tests.clients.visit import WAIT_S
from tests.clients.waiting import until, until_page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),  # the first test waits for the idle loop to be encoded
]

SCREENSHOT = os.environ.get("SCREENSHOT_PUBLISHING")
"""Where to put a picture (JPEG) of the publisher page on air; none is taken without."""
AT_REST, SPEAKING = 2.0, 5.0
"""Luma steps about the mouth: coding alone makes less than one, an open mouth ten."""
EVERY = 5
"""Pictures from one that is looked at to the next: five a second are enough."""
PAUSE = 10
"""Of those: longer than any pause of the sentence that the microphone hears."""
OF_THIS_ICE = """(pc) => {
    const pair = (pc.getSenders()[0] ?? pc.getReceivers()[0]).transport.iceTransport.getSelectedCandidatePair();
    return pc.localDescription.sdp.includes(`a=ice-ufrag:${pair.local.usernameFragment}\\r`);
}"""


@asynccontextmanager
async def page_of(browser: Browser, server: Server, path: str) -> AsyncIterator[Page]:
    """A page of the real server that may use the microphone."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    await context.grant_permissions(["microphone"], origin=server.base)
    page = await context.new_page()
    try:
        await page.goto(f"{server.base}{path}")
        yield page
    finally:
        await context.close()


async def on_air(page: Page, events: EventLog) -> None:
    """Press the button; wait until the avatar says what the microphone hears."""
    before = len(events.find("speech", state="started"))
    await page.click("#talk")
    await events.wait_nth(WAIT_S, before, "speech", state="started")


async def off_air(page: Page, events: EventLog) -> None:
    await page.click("#talk")
    await events.wait_idle(WAIT_S)
    assert events.find("publisher")[-1].data == {"publisher": False, "listens": False}


class Mouth:
    """How far the mouth is from rest in every fifth picture that a viewer decoded. Units: steps of luma."""

    def __init__(self, viewer: Viewer) -> None:
        self._pictures = viewer.pictures
        self._reference = Reference()
        self._first = Aligned(self._reference, self._pictures[:1]).index(0)
        self._distances: list[float] = []

    def newest(self, count: int) -> list[float]:
        """In the newest of them; fewer where there are no more."""
        for picture in self._pictures[len(self._distances) * EVERY :: EVERY]:
            elapsed = (picture.rtp_time - self._pictures[0].rtp_time) // FRAME_TICKS
            index = (self._first + elapsed) % len(self._reference)
            box = window(self._reference.box(index))
            difference = luma_of(picture)[box] - self._reference.luma(index)[box]
            self._distances.append(float(np.abs(difference).mean()))
        return self._distances[-count:]


async def test_a_microphone_makes_the_face_speak_and_a_muted_one_lets_it_rest(server: Server, visitors: Browser):
    async with (
        listening(server.base) as events,
        watching(server.whep()) as viewer,
        page_of(visitors, server, "/publish/demo") as page,
    ):
        mouth = Mouth(viewer)
        await on_air(page, events)
        await until(lambda: max(mouth.newest(2)) > SPEAKING, WAIT_S, "a mouth that moves")
        if SCREENSHOT:
            await page.wait_for_selector("#stage[data-live]")
            await until_page(page, "document.querySelector('#advice').textContent === 'Sounds good.'")
            await page.screenshot(path=Path(SCREENSHOT), quality=88)
        await page.keyboard.press("m")
        await page.wait_for_selector("body[data-state=muted]")
        await until(lambda: max(mouth.newest(PAUSE)) < AT_REST, WAIT_S, "a mouth at rest")
        await page.keyboard.press("m")
        await until(lambda: max(mouth.newest(2)) > SPEAKING, WAIT_S, "a mouth that moves again")
        await off_air(page, events)
        await until(lambda: max(mouth.newest(PAUSE)) < AT_REST, WAIT_S, "a mouth at rest")


async def test_a_second_microphone_and_a_file_have_to_wait(server: Server, visitors: Browser):
    async with (
        listening(server.base) as events,
        page_of(visitors, server, "/publish/demo") as page,
        page_of(visitors, server, "/publish/demo") as other,
        page_of(visitors, server, "/player/demo") as player,
    ):
        await on_air(page, events)
        await other.click("#talk")
        await expect(other.locator("#headline")).to_have_text("Nova can’t take your voice right now")
        await expect(other.locator("#retry")).to_be_disabled()
        await player.locator("#chips button").first.click()
        await expect(player.locator(".toast")).to_contain_text("Files have to wait right now.")
        await off_air(page, events)


async def test_who_watches_can_talk(server: Server, visitors: Browser):
    async with listening(server.base) as events, page_of(visitors, server, "/player/demo") as page:
        await page.click("#start")
        await page.wait_for_selector("body[data-state=idle]")
        await on_air(page, events)
        await page.wait_for_selector("body[data-state=speaking]")
        await off_air(page, events)
        await page.wait_for_selector("body[data-state=idle]")


async def test_a_restart_of_ice_goes_on_in_the_sessions_there_are(server: Server, visitors: Browser):
    async with listening(server.base) as events, page_of(visitors, server, "/publish/demo") as page:
        restarts: list[int] = []

        def note(answer: Response) -> None:
            if answer.request.headers.get("if-match") == "*":
                restarts.append(answer.status)

        page.on("response", note)
        await on_air(page, events)
        await page.wait_for_selector("#stage[data-live]")
        await page.evaluate(
            "window.sides = [whepAvatar.voice.client.session, whepAvatar.preview.session].map(({ pc }) => pc)"
        )
        await page.evaluate("dispatchEvent(new Event('online'))")
        await page.wait_for_selector("body[data-state=on]")
        for side in (0, 1):
            await until_page(page, f"({OF_THIS_ICE})(sides[{side}]) && sides[{side}].connectionState === 'connected'")
        await until_page(page, "document.querySelector('#live').currentTime > 1")
        assert await page.evaluate(
            "whepAvatar.voice.client.session.pc === sides[0] && whepAvatar.preview.session.pc === sides[1]"
        )
        assert restarts == [200, 200]
        assert len(events.find("publisher", publisher=True)) == 1
        assert events.states()[-1] == "speaking"
        await off_air(page, events)
