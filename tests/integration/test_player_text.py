"""Typing to the avatar and stopping it, from the player page."""

import asyncio
import json

import pytest
from playwright.async_api import expect

from tests.clients.scripted_whep import Answer, problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENTENCE = "Good morning! The library opens at nine, and the first tour begins at ten."


async def write(visit: Visit, text: str) -> None:
    await visit.page.fill("#text", text)
    await visit.page.keyboard.press("Enter")


async def begins(visit: Visit) -> None:
    """The utterance of the scripted answer is spoken."""
    visit.server.tell("speech", utterance="u1", state="queued", seconds=None)
    visit.server.tell("speech", utterance="u1", state="started", seconds=None, media_time_s=2.0)
    visit.server.tell("state", state="speaking")
    await visit.state("speaking")


async def test_a_typed_sentence_is_posted_and_shown_as_it_is_spoken(visit: Visit):
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    await expect(visit.page.locator("#send")).to_be_disabled()
    await write(visit, f"  {SENTENCE} ")
    await until(lambda: visit.server.requests("POST", "/streams/"), WAIT_S, "the text")
    posted = visit.server.requests("POST", "/streams/")[0]
    assert (posted.path, posted.headers["content-type"]) == ("/streams/demo/speech", "application/json")
    assert json.loads(posted.body) == {"text": SENTENCE}
    await expect(visit.page.locator("#text")).to_have_value("")
    await expect(visit.page.locator("#text")).to_be_focused()  # for the next one

    await begins(visit)
    await expect(visit.page.locator("#caption")).to_have_text(SENTENCE)
    await expect(visit.page.locator("#queue")).to_have_text("Saying “Good morning! The library opens…”")
    visit.server.tell("speech", utterance="u1", state="finished", seconds=3.0)
    await expect(visit.page.locator("#caption")).to_be_hidden()
    await expect(visit.page.locator("#queue")).to_have_text("or drop a file anywhere")


async def test_typing_starts_the_picture(visit: Visit):
    await visit.open()
    await visit.page.fill("#text", "hello")
    await visit.page.click("#send")
    await visit.state("idle")


@pytest.mark.parametrize(
    ("answer", "words", "detail"),
    [
        (problem(501, "text cannot be spoken here: set X"), "This server can’t read text aloud yet.", "set X."),
        (problem(502, "the speech endpoint answers 500"), "The voice that reads text failed.", "answers 500."),
        (problem(413, "the limit is 5000"), "That text is too long.", "The limit is 5000."),
        (problem(409, "somebody streams"), "Somebody else is speaking. Try again in a moment.", "Somebody streams."),
    ],
)
async def test_a_refused_text_is_explained_and_not_lost(visit: Visit, answer: Answer, words: str, detail: str):
    visit.server.speech = answer
    await visit.start()
    await write(visit, "hello")
    toast = visit.page.locator(".toast")
    await expect(toast.locator("strong")).to_have_text(words)
    await expect(toast).to_contain_text(detail)
    await expect(visit.page.locator("#text")).to_have_value("hello")
    for other in ("#chips button >> nth=0", "#pick", "#send"):  # nothing else is taken away
        await expect(visit.page.locator(other)).to_be_enabled()


async def test_stop_is_there_while_there_is_something_to_stop(visit: Visit):
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    stop = visit.page.locator("#stop")
    await expect(stop).to_be_hidden()
    await begins(visit)
    await expect(stop).to_be_visible()
    box = await stop.bounding_box()
    assert box is not None and box["height"] >= 44

    await stop.click()
    await until(lambda: visit.server.requests("POST", "/streams/demo/interrupt"), WAIT_S, "the interruption")
    visit.server.tell("speech", utterance="u1", state="interrupted", seconds=None, media_time_s=3.0)
    await expect(stop).to_be_hidden()
    assert await visit.page.locator(".toast").count() == 0  # it was wanted


async def test_escape_stops_it_also_from_the_text_field(visit: Visit):
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    await visit.page.keyboard.press("Escape")  # nothing to stop
    await begins(visit)
    await visit.page.focus("#text")
    await visit.page.keyboard.press("Escape")
    await until(lambda: visit.server.requests("POST", "/streams/demo/interrupt"), WAIT_S, "the interruption")
    assert len(visit.server.requests("POST", "/streams/demo/interrupt")) == 1


async def test_stopping_takes_back_what_is_still_on_its_way(visit: Visit):
    visit.server.speech_held = asyncio.Event()
    await visit.start()
    await write(visit, "first")
    await write(visit, "second")
    await until(lambda: visit.server.requests("POST", "/streams/demo/speech"), WAIT_S, "the first text")
    await expect(visit.page.locator("#queue")).to_have_text("Sending…")

    await visit.page.click("#stop")
    await expect(visit.page.locator("#queue")).to_have_text("or drop a file anywhere")
    visit.server.speech_held.set()
    await write(visit, "third")
    await until(lambda: len(visit.server.requests("POST", "/streams/demo/speech")) == 2, WAIT_S, "the third text")
    sent = [json.loads(seen.body)["text"] for seen in visit.server.requests("POST", "/streams/demo/speech")]
    assert sent == ["first", "third"]
    assert await visit.page.locator(".toast").count() == 0


async def test_a_stop_that_did_not_work_is_told(visit: Visit):
    visit.server.interrupted = problem(503, "the speech engine does not answer")
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    await begins(visit)
    await visit.page.click("#stop")
    await expect(visit.page.locator(".toast")).to_contain_text("The speech engine does not answer.")


async def test_a_token_is_asked_for_once_and_the_text_sent_again(visit: Visit):
    await visit.start()
    visit.server.token = "hush"
    await write(visit, "hello")
    await visit.page.fill("#askToken", "hush")
    await visit.page.keyboard.press("Enter")
    await until(lambda: len(visit.server.requests("POST", "/streams/demo/speech")) == 2, WAIT_S, "the text again")
    assert visit.server.requests("POST", "/streams/demo/speech")[1].headers["authorization"] == "Bearer hush"
    assert await visit.page.locator(".toast").count() == 0


async def test_the_first_sound_and_the_silence_after_a_stop_are_measured_here(visit: Visit):
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    await visit.page.keyboard.press("s")
    await visit.becomes("whepAvatar.stats.audioPackets > 10")
    await write(visit, "hello")
    await until(lambda: visit.server.requests("POST", "/streams/demo/speech"), WAIT_S, "the text")
    visit.server.loud = True
    await begins(visit)
    await visit.becomes("whepAvatar.stats.firstSoundMs > 0")

    await visit.page.click("#stop")
    visit.server.loud = False
    await visit.becomes("whepAvatar.stats.silenceMs > 0")
    await expect(visit.page.locator("#stats")).to_contain_text("Interrupt")
