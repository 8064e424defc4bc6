"""A spoken sentence in the players of the original's two families: lips against truth, idle again, and once more."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from playwright.async_api import Browser, Page

from tests.clients.chunk_viewer import view
from tests.clients.event_log import listening
from tests.clients.lip_reading import Reading, read_lips
from tests.clients.picture_steps import Aligned, Reference
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server
from tests.clients.speech_files import Sentence, sentence
from tests.clients.visit import WAIT_S
from tests.clients.waiting import until_page

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),  # the first test waits for the idle loop to be encoded
]

SENTENCE_S, AGAIN_S = 6.0, 1.0
MOST_APART_MS = 80
APPENDED = """
    window.appended = [];
    window.skews = []; // of each picture: by how much the element's clock, which is that of its sound, is ahead
    window.ends = [];
    const append = SourceBuffer.prototype.appendBuffer;
    SourceBuffer.prototype.appendBuffer = function (bytes) {
        appended.push(bytes.toBase64());
        return append.call(this, bytes);
    };
    addEventListener("DOMContentLoaded", () => {
        const video = document.querySelector("#stream");
        const look = (_, { mediaTime }) => {
            skews.push(video.currentTime - mediaTime);
            video.requestVideoFrameCallback(look);
        };
        video.requestVideoFrameCallback(look);
        const note = () => ends.push([video.currentTime, video.buffered.end(0), video.buffered.length]);
        whepAvatar.playback.addEventListener("end", note);
    });"""


@asynccontextmanager
async def session_of(server: Server, family: str) -> AsyncIterator[tuple[str, Callable[[Sentence], Awaitable[None]]]]:
    """The id of a new session, and how to have it speak."""
    async with httpx.AsyncClient(base_url=server.base, timeout=60, trust_env=False) as http:
        made = (await http.post(f"{family}/create", params={"avatar_id": "nova", "fps": 25})).json()
        path = f"{family}/{made['session_id']}"

        async def speak(spoken: Sentence) -> None:
            answer = await http.post(f"{path}/stream", files={"audio_file": ("speech.wav", spoken.wav)})
            assert answer.status_code == 200, answer.text

        yield made["session_id"], speak
        assert (await http.delete(path)).status_code == 200


@asynccontextmanager
async def page_at(browser: Browser, url: str, script: str = "") -> AsyncIterator[Page]:
    """A person's page, loaded and waiting."""
    context = await browser.new_context(viewport={"width": 960, "height": 600})
    try:
        page = await context.new_page()
        await page.add_init_script(script)
        await page.goto(url)
        yield page
    finally:
        await context.close()


async def becomes(page: Page, state: str) -> None:
    await page.wait_for_selector(f"body[data-state={state}]", timeout=WAIT_S * 1000)


async def speaks_and_falls_silent(page: Page) -> None:
    """As the page shows it."""
    await becomes(page, "speaking")
    await becomes(page, "idle")


def assert_synced(reading: Reading) -> None:
    assert reading.correlation >= 0.8, reading
    assert reading.closed >= 0.85, reading
    assert abs(reading.offset_s) <= 0.040, reading


async def test_chunks_are_lip_synced_and_shown_with_their_sound(server: Server, visitors: Browser):
    spoken = sentence(longest_s=SENTENCE_S)
    async with (
        session_of(server, "/sessions") as (session, speak),
        page_at(visitors, f"{server.base}/player/session/{session}", APPENDED) as page,
    ):
        await becomes(page, "idle")
        await speak(spoken)
        await speaks_and_falls_silent(page)
        chunks = [base64.b64decode(text) for text in await page.evaluate("appended")]
        skews = await page.evaluate("skews")
        await speak(sentence(longest_s=AGAIN_S))
        await speaks_and_falls_silent(page)
        await page.wait_for_selector("#layers:not([data-live])")
        ends = await page.evaluate("ends")
    decoded = view(chunks)
    assert_synced(read_lips(Aligned(Reference(), decoded.pictures), decoded, spoken))
    assert decoded.seconds == pytest.approx(SENTENCE_S, abs=0.03)
    assert ends == [pytest.approx([length, length, 1], abs=0.06) for length in (SENTENCE_S, AGAIN_S)]
    assert abs(np.median(skews)) < 0.05


async def test_a_webrtc_session_is_lip_synced_and_its_page_shows_it(server: Server, visitors: Browser):
    """One after the other: two that decode are one too many for a small machine."""
    spoken, again = sentence(longest_s=SENTENCE_S), sentence(longest_s=AGAIN_S)
    async with session_of(server, "/webrtc/sessions") as (session, speak), listening(server.base, session) as events:
        async with watching(server.whep(session)) as viewer:
            await speak(spoken)
            await events.wait(WAIT_S, "speech", state="finished")
            await events.wait_idle(WAIT_S)
            await viewer.wait_pictures(10)
        async with page_at(visitors, f"{server.base}/webrtc/player/{session}") as page:
            await page.click("#start")
            await becomes(page, "idle")
            await page.wait_for_selector("#stage[data-live]")
            for times in (2, 3):
                await speak(again)
                await speaks_and_falls_silent(page)
                assert len(events.find("speech", state="finished")) == times
            in_step = f"Math.abs(whepAvatar.stats.avOffsetMs ?? NaN) < {MOST_APART_MS}"
            await until_page(page, in_step, WAIT_S)
    assert_synced(read_lips(Aligned(Reference(), viewer.pictures), viewer, spoken))
