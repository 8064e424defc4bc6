"""Talking through the avatar from the player page, by mouse, by touch and by keyboard."""

import pytest
from playwright.async_api import expect

from tests.clients.scripted_whep import problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOUND = "document.querySelector('#live').srcObject.getAudioTracks().every(({ enabled }) => enabled)"


async def may_talk(visit: Visit) -> None:
    """The player, live, with the microphone allowed."""
    await visit.allow_microphone()
    await visit.start()


async def talks(visit: Visit, state: str = "on") -> None:
    await expect(visit.page.locator("#talk")).to_have_attribute("data-voice", state)


async def hold_space(visit: Visit) -> None:
    """Hold it for longer than a mere press."""
    await visit.page.evaluate("void addEventListener('keydown', () => (window.downAt ??= performance.now()))")
    await visit.page.keyboard.down("Space")
    await talks(visit)
    await visit.becomes("performance.now() - downAt > 500")


async def test_a_press_talks_until_the_next_and_the_avatar_is_silent_here_meanwhile(visit: Visit):
    await may_talk(visit)
    await visit.page.click("#talk")
    await talks(visit)
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    talk = visit.page.locator("#talk")
    await expect(talk).to_have_attribute("aria-pressed", "true")
    await expect(talk).to_have_text("Stop")
    await expect(visit.page.locator("#talkLine")).to_have_text("Nova says what you say. Press again to stop.")
    await visit.becomes("Number(document.querySelector('#talk').style.getPropertyValue('--level')) > 0.3")
    assert not await visit.page.evaluate(SOUND)
    assert not await visit.page.evaluate("document.querySelector('#live').muted")  # the person's own choice

    await talk.click()
    await talks(visit, "off")
    await until(lambda: visit.server.requests("DELETE", "/whip/"), WAIT_S, "DELETE")
    assert await visit.page.evaluate("whepAvatar.voice.microphone.track") is None
    visit.server.tell("state", state="speaking")
    await visit.state("speaking")
    visit.server.tell("state", state="idle")  # the last words have been said
    await visit.becomes(SOUND)


async def test_the_space_bar_talks_as_long_as_it_is_held(visit: Visit):
    await may_talk(visit)  # the mouse was last on the page: no button means space
    await hold_space(visit)
    await expect(visit.page.locator("#talkLine")).to_have_text("Nova says what you say. Let go to stop.")
    await visit.page.keyboard.up("Space")
    await talks(visit, "off")
    assert not await visit.page.evaluate("document.querySelector('#live').muted")  # nor did it press another button


async def test_who_goes_about_by_keyboard_keeps_the_space_bar_for_buttons(visit: Visit):
    await may_talk(visit)
    await visit.page.keyboard.press("Tab")
    await visit.page.focus("#mute")
    await visit.page.keyboard.press("Space")
    await visit.becomes("document.querySelector('#live').muted")
    assert visit.server.requests("POST", "/whip/") == []

    await visit.page.focus("#talk")
    await visit.page.keyboard.press("Enter")
    await talks(visit)
    await visit.page.keyboard.press("Enter")
    await talks(visit, "off")


async def test_a_window_that_is_left_while_the_key_is_held_does_not_go_on_talking(visit: Visit):
    await may_talk(visit)
    await hold_space(visit)
    await visit.page.evaluate("dispatchEvent(new Event('blur'))")
    await talks(visit, "off")


async def test_talking_starts_the_picture(visit: Visit):
    await visit.allow_microphone()
    await visit.open()
    await visit.page.click("#talk")
    await talks(visit)
    await visit.state("idle")


async def test_somebody_else_s_turn_is_told(visit: Visit):
    visit.server.whip.posts.append(problem(409, "a publisher has this stream", Retry_After="5"))
    await may_talk(visit)
    await visit.page.click("#talk")
    toast = visit.page.locator(".toast")
    await expect(toast).to_contain_text("Nova can’t take your voice right now")
    await expect(toast).to_contain_text("A publisher has this stream. Try again in 5 s.")
    await talks(visit, "off")


async def test_somebody_else_s_voice_is_named_in_the_dock(visit: Visit):
    await visit.start()
    await visit.becomes("whepAvatar.events.up")
    visit.server.tell("publisher", publisher=True)
    visit.server.tell("speech", utterance="voice", state="queued", seconds=None)
    visit.server.tell("speech", utterance="voice", state="started", seconds=None)
    await expect(visit.page.locator("#queue")).to_have_text("Somebody speaks live")


async def test_a_voice_stops_what_the_avatar_says_and_the_talker_is_told(visit: Visit):
    await may_talk(visit)
    await visit.becomes("whepAvatar.events.up")
    visit.server.tell("speech", utterance="old", state="started", seconds=9.0)
    await visit.page.click("#talk")
    await talks(visit)
    line = visit.page.locator("#talkLine")
    await expect(line).to_have_text("Speak, and Nova stops and says what you say.")
    assert visit.server.requests("POST", "/whip/")[0].query == "interrupt=speech"
    visit.server.tell("speech", utterance="old", state="interrupted", seconds=9.0)
    await expect(line).to_have_text("Nova says what you say. Press again to stop.")


async def test_older_speech_comes_first_where_the_talker_would_rather_wait(visit: Visit):
    await may_talk(visit)
    await visit.becomes("whepAvatar.events.up")
    await visit.page.uncheck("#barge")
    visit.server.tell("speech", utterance="old", state="started", seconds=9.0)
    await visit.page.click("#talk")
    await talks(visit)
    line = visit.page.locator("#talkLine")
    await expect(line).to_have_text("Nova first finishes what was waiting. You are heard after that.")
    assert visit.server.requests("POST", "/whip/")[0].query == "interrupt=no"
    visit.server.tell("speech", utterance="old", state="finished", seconds=9.0)
    await expect(line).to_have_text("Nova says what you say. Press again to stop.")

    await visit.open()  # the choice is kept
    assert not await visit.page.is_checked("#barge")


async def test_where_no_microphone_may_be_used_there_is_no_button(visit: Visit):
    await visit.page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    await may_talk(visit)
    await expect(visit.page.locator("#talk")).to_be_hidden()
    await expect(visit.page.locator("#bargeOption")).to_be_hidden()
    await visit.page.keyboard.press("Space")
    assert visit.server.requests("POST", "/whip/") == []
