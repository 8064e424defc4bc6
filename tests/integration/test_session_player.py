"""The page of a session of chunks in a real Chromium, on the real server above a live layer that does as a test says.

Each chunk is of one grey and brighter than the one before: which chunk is on the screen can be seen.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.clients.chunk_files import chunk_files, luma_of
from tests.clients.visit import WAIT_S
from tests.clients.waiting import until, until_page
from tests.fake_live import FakeRegistry
from tests.fake_recordings import FakeRecording
from tests.integration.http_server import serving
from whep_server.errors import NotSpeech
from whep_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHUNKS = chunk_files(4)
SECONDS = 0.4
WATCH = """() => {
    window.shown = []; // of every picture on the screen: its time and its grey
    window.told = [];
    const begin = () => {
        const video = document.querySelector("#stream") ?? document.querySelector("#video");
        const sheet = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const look = (_, { mediaTime }) => {
            sheet.drawImage(video, 0, 0, 4, 4);
            shown.push([mediaTime, sheet.getImageData(1, 1, 1, 1).data[0]]);
            video.requestVideoFrameCallback(look);
        };
        video.requestVideoFrameCallback(look);
        const types = ["begin", "picture", "playing", "blocked", "problem", "end", "idle"];
        for (const type of types) whepAvatar.playback.addEventListener(type, () => {
            const { buffered, currentTime } = video;
            told.push([type, currentTime, buffered.length ? buffered.end(buffered.length - 1) : 0]);
            console.debug(type);
        });
    };
    addEventListener("DOMContentLoaded", begin);
    Math.random = () => -1; // waits before a download is tried again have no length
}"""


@dataclass(slots=True)
class Watched:
    """A page of a session, and what made it."""

    http: httpx.AsyncClient
    live: FakeRegistry
    page: Page
    session: str
    told: list[str] = field(default_factory=list)
    """What the page's playback told, also of pages that were loaded before."""

    async def speak(self, speech: bytes = b"speech") -> str:
        """Have the session say what the recorder has; the request's id."""
        answer = await self.http.post(f"/sessions/{self.session}/stream", files={"audio_file": ("a.wav", speech)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def load(self) -> None:
        """Open the page or load it again; it listens, and may play: what Playwright evaluates counts as a gesture."""
        await self.page.goto(f"{self.http.base_url}/player/session/{self.session}")
        await self.page.wait_for_selector("body:not([data-state=connecting])", timeout=WAIT_S * 1000)

    async def state(self, name: str) -> None:
        """Wait for a state, by what the page shows."""
        await self.page.wait_for_selector(f"body[data-state={name}]", timeout=WAIT_S * 1000)

    async def hears(self, kind: str, times: int = 1) -> None:
        """Wait until the playback has told that so often. Nothing is asked of the page meanwhile."""
        await until(lambda: self.told.count(kind) >= times, WAIT_S, f"{kind} {times} times; {self.told}")

    async def chunks_shown(self) -> list[int]:
        """Which chunks were on the screen, in order."""
        shades = [shade for _, shade in await self.page.evaluate("shown")]
        numbers = [min(range(len(CHUNKS)), key=lambda index: abs(full(luma_of(index)) - shade)) for shade in shades]
        return numbers[:1] + [later for earlier, later in pairwise(numbers) if earlier != later]


def full(luma: int) -> float:
    """A video's grey on the screen."""
    return (luma - 16) * 255 / 219


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[tuple[httpx.AsyncClient, FakeRegistry]]:
    """One server for all pages."""
    live = FakeRegistry()
    async with serving(Settings(), live.open) as http:
        yield http, live


@asynccontextmanager
async def watching(browser: Browser, http: httpx.AsyncClient, live: FakeRegistry) -> AsyncIterator[Watched]:
    """A page that is not loaded yet, of a new session whose recordings have all chunks."""
    live.recorder.chunks, live.recorder.complete, live.recorder.fault = CHUNKS, True, None
    made = (await http.post("/sessions/create", params={"avatar_id": "nova", "fps": 25})).json()
    context = await browser.new_context(viewport={"width": 640, "height": 400})
    page = await context.new_page()
    errors: list[str] = []
    watched = Watched(http, live, page, made["session_id"])
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: watched.told.append(message.text) if message.type == "debug" else None)
    await page.add_init_script(f"({WATCH})()")
    try:
        yield watched
    finally:
        await context.close()
        await http.delete(f"/sessions/{watched.session}")
    assert errors == []


@pytest_asyncio.fixture(loop_scope="session")
async def watched(visitors: Browser, server: tuple[httpx.AsyncClient, FakeRegistry]) -> AsyncIterator[Watched]:
    async with watching(visitors, *server) as begun:
        yield begun


async def film_moves(page: Page) -> None:
    """The idle film is seen, and moves."""
    await page.wait_for_selector("#layers:not([data-live])", timeout=WAIT_S * 1000)
    before = await page.evaluate("document.querySelector('#film').currentTime")
    await until_page(page, f"document.querySelector('#film').currentTime !== {before}")


async def test_a_session_speaks_falls_silent_and_speaks_again(watched: Watched):
    page = watched.page
    await watched.load()
    assert await page.inner_text("#pill") == "Ready - waiting for audio"
    await film_moves(page)
    for times in (1, 2):
        await watched.speak()
        await watched.hears("picture", times)
        await page.wait_for_selector("#layers[data-live]")
        await watched.hears("idle", times)
        await film_moves(page)
    told = await page.evaluate("told")
    ends = [(at, buffered) for kind, at, buffered in told if kind == "end"]
    assert ends == [pytest.approx((len(CHUNKS) * SECONDS,) * 2, abs=0.1)] * 2
    assert await watched.chunks_shown() == [0, 1, 2, 3] * 2
    assert "problem" not in watched.told


async def test_chunks_are_played_in_order_and_all_of_them_however_they_come(watched: Watched):
    """The first comes last, after the server has said ``complete`` and gone; another one comes at the third try."""
    first, left = asyncio.Event(), 2

    async def hold(route: Route) -> None:
        await first.wait()
        await route.continue_()

    async def fail(route: Route) -> None:
        nonlocal left
        left -= 1
        await (route.fulfill(status=503) if left >= 0 else route.continue_())

    await watched.page.route("**/chunk_0000.mp4", hold)
    await watched.page.route("**/chunk_0001.mp4", fail)
    await watched.load()
    async with watched.page.expect_response(lambda answer: answer.url.endswith("/chunk_0001.mp4") and answer.ok):
        await watched.speak()
    await until(lambda: watched.live.recorder.made[-1].closed, WAIT_S, "the end of the recording")
    first.set()
    await watched.hears("idle")
    assert left == -1
    assert await watched.chunks_shown() == [0, 1, 2, 3]


async def test_a_page_that_is_loaded_again_in_the_middle_plays_all_of_it(watched: Watched):
    watched.live.recorder.chunks, watched.live.recorder.complete = [], False
    await watched.load()
    await watched.speak()
    made = watched.live.recorder.made[-1]
    assert isinstance(made, FakeRecording)
    made.total = len(CHUNKS)
    made.give(CHUNKS[0])
    made.give(CHUNKS[1])
    await watched.hears("picture")
    await watched.load()
    await until(lambda: "blocked" in watched.told or watched.told.count("playing") > 1, WAIT_S, "playing or not")
    await watched.page.mouse.click(30, 30)
    for chunk in CHUNKS[2:]:
        made.give(chunk)
    made.finish()
    await watched.hears("idle")
    assert await watched.chunks_shown() == [0, 1, 2, 3]


async def test_speech_is_cut_by_no_clock_and_what_is_said_meanwhile_comes_after_it(watched: Watched):
    await watched.page.clock.install()
    await watched.load()
    await watched.speak()
    await watched.hears("picture")
    await watched.page.clock.fast_forward(20_000)
    watched.live.recorder.chunks = CHUNKS[:1]
    await watched.speak()
    assert watched.told.count("end") == 0
    await watched.hears("idle")
    assert watched.told.count("end") == 2
    assert await watched.chunks_shown() == [0, 1, 2, 3, 0]


async def test_a_browser_that_wants_a_gesture_gets_one(watched: Watched):
    page = watched.page
    await watched.speak()
    await page.goto(f"{watched.http.base_url}/player/session/{watched.session}")
    await watched.hears("blocked")
    await expect(page.locator("#start")).to_have_text("Click to play")
    await film_moves(page)  # as long as nobody has clicked
    await page.keyboard.press("Enter")
    await watched.hears("idle")
    await expect(page.locator("#start")).to_be_hidden()
    assert await watched.chunks_shown() == [0, 1, 2, 3]


async def test_an_app_around_it_hears_of_which_session_it_is(watched: Watched):
    await watched.page.add_init_script(
        "window.heard = []; window.WhepAvatarHost = { postMessage: (text) => heard.push(JSON.parse(text)) };"
    )
    await watched.load()
    await watched.state("idle")
    heard = await watched.page.evaluate("heard")
    told = [(message["event"], message["state"]) for message in heard]
    assert told == [("state", "connecting"), ("ready", "connecting"), ("state", "idle")]
    assert all((message["type"], message["stream"]) == ("whep-avatar", watched.session) for message in heard)


async def test_a_chunk_that_cannot_be_had_is_told_of_and_the_next_speech_is_whole(watched: Watched):
    await watched.page.route("**/chunk_0002.mp4", lambda route: route.abort())
    await watched.load()
    await watched.speak()
    await watched.hears("problem")
    await expect(watched.page.locator("#pill")).to_have_text("❌ Download error")
    await watched.hears("idle")
    await film_moves(watched.page)
    await watched.page.unroute("**/chunk_0002.mp4")
    await watched.speak()
    await watched.hears("idle", 2)
    assert await watched.chunks_shown() == [0, 1, 0, 1, 2, 3]


async def test_broken_pictures_are_told_of_and_the_film_comes_back(watched: Watched):
    broken = CHUNKS[1][: len(CHUNKS[1]) // 2] + bytes(2000)
    watched.live.recorder.chunks = [CHUNKS[0], b"\0\0\0\2moov" + broken]
    await watched.load()
    await watched.speak()
    await watched.hears("problem")
    await expect(watched.page.locator("#pill")).to_contain_text("❌ ")
    await watched.hears("idle")
    await film_moves(watched.page)


async def test_what_the_server_says_is_shown_and_that_the_session_is_over(watched: Watched):
    watched.live.recorder.fault = NotSpeech("not audio: broken off")
    watched.live.recorder.chunks = []
    await watched.load()
    async with watched.page.expect_request("**/events"):  # the page comes back to listen
        await watched.speak()
    await watched.hears("problem")
    await film_moves(watched.page)
    await expect(watched.page.locator("#pill")).to_have_text("❌ not audio: broken off")
    await watched.http.delete(f"/sessions/{watched.session}")
    await watched.state("offline")
    await expect(watched.page.locator("#pill")).to_have_text("Session ended")
    await film_moves(watched.page)


async def test_a_browser_that_manages_its_sources_is_served_and_a_full_one_waited_for(watched: Watched):
    await watched.page.add_init_script("""
        window.refused = 0;
        window.ManagedMediaSource = class extends MediaSource {
            streaming = false;
            constructor() {
                super();
                setTimeout(() => {
                    this.streaming = true;
                    this.dispatchEvent(new Event("startstreaming"));
                }, 50);
            }
        };
        delete window.MediaSource;
        const append = SourceBuffer.prototype.appendBuffer;
        SourceBuffer.prototype.appendBuffer = function (bytes) {
            const held = this.buffered.length ? this.buffered.end(0) : 0;
            if (held - document.querySelector("#stream").currentTime < 0.6) return append.call(this, bytes);
            refused += 1;
            throw new DOMException("full", "QuotaExceededError");
        };""")
    await watched.load()
    await watched.speak()
    await watched.hears("idle")
    assert await watched.page.evaluate("document.querySelector('#stream').disableRemotePlayback")
    assert await watched.page.evaluate("refused") > 0
    assert await watched.chunks_shown() == [0, 1, 2, 3]


async def test_the_chunks_of_a_request_can_be_looked_at_one_by_one_or_as_one_film(watched: Watched):
    page, request_id = watched.page, await watched.speak()
    await until(lambda: watched.live.recorder.made[-1].closed, WAIT_S, "the end of the recording")
    await page.goto(f"{watched.http.base_url}/player/{request_id}")
    line = page.locator("#line")
    await expect(line).to_have_text("Chunk 1 of 4")
    await expect(page.locator("#previous")).to_be_disabled()
    await page.click("#next")
    await page.keyboard.press("ArrowRight")
    await expect(line).to_have_text("Chunk 3 of 4")
    await page.click("#all")
    await watched.hears("picture")
    await page.click("#chunks button >> nth=1")
    await expect(line).to_have_text("Chunk 2 of 4")
    await until_page(page, "document.querySelector('#video').ended")
    assert (await watched.chunks_shown())[-1:] == [1]
    await page.evaluate("shown.length = 0")
    await page.click("#all")
    await watched.hears("idle", 2)
    assert await watched.chunks_shown() == [0, 1, 2, 3]
    await expect(line).to_have_text("Chunk 4 of 4")
    saved: list[str] = []
    page.on("download", lambda download: saved.append(download.suggested_filename))
    await page.click("#save")
    await until(lambda: len(saved) == 4, WAIT_S, "all downloads")
    assert saved == [f"chunk_{index:04d}.mp4" for index in range(4)]


async def test_the_form_has_an_avatar_say_a_file(watched: Watched):
    page = watched.page
    await page.goto(f"{watched.http.base_url}/ui")
    await page.click("#go")
    await expect(page.locator(".toast")).to_contain_text("Choose an audio file")
    await page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"speech"})
    await page.select_option("[name=chunk_duration]", "0.5")
    await page.select_option("[name=fps]", "20")
    await page.click("#go")
    await watched.hears("idle")
    asked = watched.live.recorder.asked[-1]
    assert (asked["avatar"], asked["video"].fps, asked["chunk_frames"]) == ("nova", 20, 10)
    assert await watched.chunks_shown() == [0, 1, 2, 3]
    await expect(page.locator("#line")).to_contain_text("Chunk 4 of 4")
    await expect(page.locator("#go")).to_have_text("Generate")
    await page.set_input_files("#file", {"name": "b.wav", "mimeType": "audio/wav", "buffer": b"junk"})
    await page.click("#go")
    await expect(page.locator(".toast").last).to_contain_text("not audio")
    await watched.state("idle")


async def test_what_is_not_there_is_told_to_a_person_and_to_a_program(server: tuple[httpx.AsyncClient, FakeRegistry]):
    http, _ = server
    for path in ("/player/session/nobody", "/webrtc/player/nobody", "/player/nobody", "/player/nova_req_01234567"):
        program = await http.get(path)
        assert (program.status_code, list(program.json())) == (404, ["detail"])
        person = await http.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (person.status_code, person.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert program.json()["detail"] in person.text.replace("&#39;", "'")
    for name in ("a_req_1234567", "a_req_0123456g", "%00", "a b", "x" * 300):
        assert (await http.get(f"/player/{name}")).status_code == 400
