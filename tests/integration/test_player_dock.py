"""Making it speak from the player page, and what the page shows and tells, on every screen."""

import pytest
from playwright.async_api import expect

from tests.clients.scripted_whep import Answer, problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


# speech


async def test_a_sample_is_posted_and_its_words_stand_under_the_face_while_it_is_spoken(visit: Visit):
    await visit.start()
    chip = visit.page.locator("#chips button").first
    sample = (await visit.page.evaluate("whepAvatar.dock.samples"))[0]
    await chip.click()
    await until(lambda: visit.server.requests("POST", "/streams/"), WAIT_S, "the upload")
    posted = visit.server.requests("POST", "/streams/")[0]
    assert posted.body.startswith(b"OggS")
    assert posted.headers["content-type"] == "audio/ogg"

    visit.server.tell("speech", utterance="u1", state="queued", seconds=2.0)
    visit.server.tell("speech", utterance="u2", state="queued", seconds=2.0)
    visit.server.tell("speech", utterance="u1", state="started", seconds=2.0)
    visit.server.tell("state", state="speaking")
    await visit.state("speaking")
    await expect(visit.page.locator("#caption")).to_have_text(sample["text"])
    await expect(visit.page.locator("#queue")).to_have_text(f"Saying “{sample['title']}” · 1 waiting")

    visit.server.tell("speech", utterance="u1", state="finished", seconds=2.0)
    visit.server.tell("state", state="idle")
    await visit.state("idle")
    await expect(visit.page.locator("#caption")).to_be_hidden()


async def test_asking_it_to_speak_starts_the_picture(visit: Visit):
    await visit.open()
    await visit.page.locator("#chips button").first.click()
    await visit.state("idle")
    await until(lambda: visit.server.requests("POST", "/streams/"), WAIT_S, "the upload")


async def test_a_dropped_file_is_spoken(visit: Visit):
    await visit.start()
    files = await visit.page.evaluate_handle(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["some sound"], "hello.wav", { type: "audio/wav" }));
            return data;
        }"""
    )
    await visit.page.dispatch_event("body", "dragenter", {"dataTransfer": files})
    await expect(visit.page.locator("#drop")).to_be_visible()
    await visit.page.dispatch_event("body", "drop", {"dataTransfer": files})
    await expect(visit.page.locator("#drop")).to_be_hidden()
    await until(lambda: visit.server.requests("POST", "/streams/"), WAIT_S, "the upload")
    assert visit.server.requests("POST", "/streams/")[0].body == b"some sound"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (problem(422, "no audio found"), "There is no speech in that file we can read."),
        (problem(413, "above the limit"), "That file is too large."),
        (problem(429, "queue full"), "Too much is waiting already. Try again in a moment."),
        (problem(500, "oops"), "Something went wrong at the server."),
    ],
)
async def test_a_refused_file_is_explained(visit: Visit, answer: Answer, words: str):
    visit.server.speech = answer
    await visit.open()
    await visit.page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"not sound"})
    await expect(visit.page.locator(".toast strong")).to_have_text(words)
    await expect(visit.page.locator("#progress")).to_be_hidden()


async def test_an_utterance_that_breaks_off_is_told(visit: Visit):
    await visit.start()
    visit.server.tell("speech", utterance="x", state="started", seconds=2.0)
    visit.server.tell("speech", utterance="x", state="failed", seconds=2.0, detail="the worker was lost")
    await expect(visit.page.locator(".toast")).to_have_text("The sentence broke off.the worker was lost")


async def test_without_events_the_sound_tells_that_it_speaks(visit: Visit):
    visit.server.no_events = problem(404, "no events")
    await visit.start()
    visit.server.loud = True
    await visit.state("speaking")
    visit.server.loud = False
    await visit.state("idle")


async def test_uploads_leave_one_after_another(visit: Visit):
    await visit.open()
    files = [{"name": f"{n}.wav", "mimeType": "audio/wav", "buffer": str(n).encode()} for n in range(4)]
    await visit.page.set_input_files("#file", files)
    await until(lambda: len(visit.server.requests("POST", "/streams/")) == 4, WAIT_S, "all uploads")
    assert [seen.body for seen in visit.server.requests("POST", "/streams/")] == [b"0", b"1", b"2", b"3"]


# what is seen


async def test_the_statistics_are_one_key_away(visit: Visit):
    await visit.start()
    await visit.page.keyboard.press("s")
    numbers = visit.page.locator("#stats")
    await expect(numbers).to_contain_text("H264 + opus")
    await expect(numbers).to_contain_text("320 × 180")
    await visit.becomes("whepAvatar.stats.fps > 5 && whepAvatar.stats.avOffsetMs !== null")
    await visit.page.keyboard.press("s")
    await expect(numbers).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(360, 640), (640, 360), (768, 1024), (1280, 800)])
async def test_all_is_in_reach_on_every_screen(visit: Visit, width: int, height: int):
    await visit.page.set_viewport_size({"width": width, "height": height})
    await visit.start()
    page = await visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert page[0] <= page[1]
    for name in ("#stage", "#pick", "#text", "#mute", "#numbers", "#full"):
        box = await visit.page.locator(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 44  # a finger's width
    stage = await visit.page.locator("#stage").bounding_box()
    assert stage is not None
    assert stage["width"] * stage["height"] > 0.35 * width * height


async def test_who_wants_no_motion_gets_the_poster(visit: Visit):
    await visit.page.emulate_media(reduced_motion="reduce")
    await visit.open()
    await visit.becomes("document.querySelector('#loop').readyState > 0")
    assert await visit.page.evaluate("document.querySelector('#loop').paused")
    await visit.start()
    await visit.picture()


async def test_embedded_the_face_stands_alone_and_starts_by_itself(visit: Visit):
    await visit.open("?embed")
    await until(lambda: visit.server.requests("POST"), WAIT_S, "offer")
    await visit.state("idle")
    box = await visit.page.locator("#stage").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 1280, "height": 800}
    await expect(visit.page.locator(".dock")).to_be_hidden()


async def test_many_viewers_hear_of_each_other(visit: Visit):
    await visit.start()
    visit.server.tell("viewers", viewers=3)
    await expect(visit.page.locator("#viewers")).to_have_text("3 watching")
