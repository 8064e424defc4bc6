"""The publisher page: what it sends, what it shows, and what it says when something is in the way."""

import pytest
from playwright.async_api import expect

from tests.clients.scripted_whep import Answer, problem
from tests.clients.visit import WAIT_S, Visit
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def offers(visit: Visit) -> list[str]:
    return [seen.body.decode() for seen in visit.server.requests("POST", "/whip/")]


# on air


async def test_one_click_publishes_one_voice_and_another_ends_it(visit: Visit):
    await visit.speak()
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    await until(lambda: visit.server.requests("PATCH", "/whip/"), WAIT_S, "candidates")

    (offer,) = offers(visit)
    assert [line for line in offer.splitlines() if line.startswith("m=")] == ["m=audio 9 UDP/TLS/RTP/SAVPF 111"]
    for line in ("a=sendonly", "a=setup:actpass", "a=group:BUNDLE 0", "a=rtcp-mux", "a=rtcp-mux-only"):
        assert line in offer.splitlines()
    assert "a=candidate" not in offer
    assert all(line.split()[0] != "a=msid:-" for line in offer.splitlines())
    patch = visit.server.requests("PATCH", "/whip/")[0]
    assert patch.headers["if-match"] == '"session1-tag"'
    assert "authorization" not in patch.headers

    await visit.page.click("#talk")
    await visit.state("off")
    await until(lambda: visit.server.requests("DELETE", "/whip/"), WAIT_S, "DELETE")
    assert [seen.path for seen in visit.server.requests("DELETE", "/whip/")] == ["/whip/demo/session1"]
    assert await visit.page.evaluate("whepAvatar.voice.microphone.track") is None


async def test_a_muted_voice_sends_silence_and_is_told_when_it_speaks(visit: Visit):
    await visit.speak()
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")

    await visit.page.keyboard.press("m")
    await visit.state("muted")
    await expect(visit.page.locator("#hush")).to_have_attribute("aria-pressed", "true")
    await until(lambda: visit.server.ear.silent, WAIT_S, "silence at the server")
    await expect(visit.page.locator("#advice")).to_have_text("You are speaking, but muted.")

    await visit.page.click("#hush")
    await visit.state("on")
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    assert len(offers(visit)) == 1

    await visit.page.keyboard.press("m")
    await visit.page.click("#talk")
    await visit.state("off")
    await visit.page.click("#talk")
    await visit.state("on")  # not muted any more


async def test_the_level_is_seen_and_told(visit: Visit):
    await visit.speak()
    level = visit.page.locator("#level")
    await visit.becomes("Number(document.querySelector('#level').style.getPropertyValue('--level')) > 0.4")
    await visit.becomes("Number(document.querySelector('#level').style.getPropertyValue('--peak')) > 0.4")
    await visit.becomes("Number(document.querySelector('#level').getAttribute('aria-valuenow')) > -40")
    assert await level.get_attribute("role") == "meter"


async def test_another_microphone_is_used_at_once_and_remembered(visit: Visit):
    await visit.speak()
    device = visit.page.locator("#device")
    await visit.becomes("document.querySelectorAll('#device option').length > 1")
    labels = await device.locator("option").all_inner_texts()
    await device.select_option(label=labels[-1])
    await visit.becomes(f"whepAvatar.voice.microphone.track?.label === {labels[-1]!r}")
    await visit.page.uncheck("#noiseSuppression")
    await visit.becomes("whepAvatar.voice.microphone.track?.getSettings().noiseSuppression === false")
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    assert len(offers(visit)) == 1  # same session, another track

    await visit.publish()
    await visit.becomes(f"document.querySelector('#device').selectedOptions[0]?.textContent === {labels[-1]!r}")
    assert not await visit.page.is_checked("#noiseSuppression")
    assert await visit.page.is_checked("#echoCancellation")


async def test_the_list_of_microphones_follows_what_is_plugged_in(visit: Visit):
    await visit.publish()
    await visit.becomes("document.querySelectorAll('#device option').length > 1")
    await visit.page.evaluate(
        """() => {
            const one = [{ kind: "audioinput", deviceId: "x", label: "Headset" }];
            navigator.mediaDevices.enumerateDevices = async () => one;
            navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
        }"""
    )
    await expect(visit.page.locator("#device option")).to_have_text(["Headset"])


async def test_a_microphone_that_is_unplugged_is_replaced(visit: Visit):
    await visit.speak()
    await visit.page.evaluate("window.before = whepAvatar.voice.microphone.track")
    await visit.page.evaluate("void (before.stop(), before.dispatchEvent(new Event('ended')))")
    await visit.becomes(
        "whepAvatar.voice.microphone.track?.readyState === 'live' && whepAvatar.voice.microphone.track !== before"
    )
    await visit.state("on")
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")


async def test_the_avatar_is_watched_without_sound_and_only_if_wanted(visit: Visit):
    await visit.speak()
    await visit.picture()
    assert await visit.page.evaluate("document.querySelector('#live').muted")

    await visit.page.uncheck("#preview")
    await until(lambda: visit.server.requests("DELETE", "/whep/"), WAIT_S, "end of the preview")
    await visit.page.click("#talk")
    await visit.state("off")

    await visit.speak()
    assert len(visit.server.requests("POST", "/whep/demo")) == 1  # as it was left


async def test_leaving_the_page_deletes_the_session(visit: Visit):
    await visit.speak()
    await visit.page.goto("about:blank")
    await until(lambda: visit.server.requests("DELETE", "/whip/"), WAIT_S, "DELETE")


async def test_older_speech_comes_first_and_the_speaker_is_told(visit: Visit):
    await visit.publish()
    await visit.becomes("whepAvatar.events.up")
    visit.server.tell("speech", utterance="old", state="started", seconds=9.0)
    await visit.page.click("#talk")
    await visit.state("on")
    visit.server.tell("publisher", publisher=True)
    visit.server.tell("speech", utterance="mine", state="queued", seconds=None)
    more = visit.page.locator("#more")
    await expect(more).to_have_text("Nova first finishes what was waiting. You are heard after that.")

    visit.server.tell("speech", utterance="old", state="finished", seconds=9.0)
    visit.server.tell("speech", utterance="mine", state="started", seconds=None)
    await expect(more).to_contain_text("Nova says what you say.")


# what is in the way


async def test_a_blocked_microphone_is_explained(visit: Visit):
    await visit.page.goto(f"{visit.server.base}/publish/demo")
    await visit.page.click("#talk")
    await expect(visit.page.locator("#headline")).to_have_text("The microphone is blocked")
    await visit.state("off")
    assert offers(visit) == []

    await visit.allow_microphone()
    await visit.page.click("#retry")
    await visit.state("on")


async def test_a_machine_without_microphones_says_so(visit: Visit):
    await visit.publish()
    await visit.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError'); }; }"
    )
    await visit.page.click("#talk")
    await expect(visit.page.locator("#headline")).to_have_text("No microphone was found")


async def test_a_page_that_may_not_use_a_microphone_says_why(visit: Visit):
    await visit.page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    await visit.publish()
    await expect(visit.page.locator("#talk")).to_be_disabled()
    await expect(visit.page.locator("#more")).to_have_text(
        "Browsers give it only to pages opened over https or from localhost."
    )


async def test_a_stream_that_somebody_else_has_is_offered_again_when_the_server_said(visit: Visit):
    visit.server.whip.posts.append(problem(409, "a publisher has this stream", Retry_After="1"))
    await visit.publish()
    await visit.page.click("#talk")
    await expect(visit.page.locator("#headline")).to_have_text("Nova can’t take your voice right now")
    await expect(visit.page.locator("#more")).to_have_text("A publisher has this stream.")
    retry = visit.page.locator("#retry")
    await expect(retry).to_be_disabled()
    assert len(offers(visit)) == 1

    await expect(retry).to_be_enabled()
    await retry.click()
    await visit.state("on")
    assert len(offers(visit)) == 2


async def test_somebody_else_on_air_is_seen_before_and_the_turn_comes_at_once(visit: Visit):
    visit.server.whip.posts.append(problem(409, "a publisher has this stream", Retry_After="30"))
    await visit.publish()
    await visit.becomes("whepAvatar.events.up")
    visit.server.tell("publisher", publisher=True)
    await expect(visit.page.locator("#headline")).to_have_text("Somebody else is on air")
    await visit.page.click("#talk")
    await expect(visit.page.locator("#retry")).to_be_disabled()

    visit.server.tell("publisher", publisher=False)
    await visit.page.click("#retry")  # waits until it is enabled
    await visit.state("on")


async def test_a_server_without_room_is_asked_again_by_itself(visit: Visit):
    visit.server.whip.posts.append(problem(503, "the speech engine is starting", Retry_After="1"))
    await visit.publish()
    await visit.page.click("#talk")
    await expect(visit.page.locator("#more")).to_have_text("The speech engine is starting. Trying again…")
    await visit.state("on")


async def test_an_unknown_status_is_a_refusal_like_any_other(visit: Visit):
    visit.server.whip.refusing = problem(499, "not today")
    await visit.publish()
    await visit.page.click("#talk")
    await expect(visit.page.locator("#headline")).to_have_text("The server did not take your voice")
    await expect(visit.page.locator("#more")).to_have_text("Not today.")
    assert len(offers(visit)) == 1


async def test_a_406_offers_a_publisher_nothing(visit: Visit):
    visit.server.whip.counters = True
    await visit.publish()
    await visit.page.click("#talk")
    await expect(visit.page.locator("#headline")).to_have_text("The server did not take your voice")
    assert visit.server.requests("PATCH", "/whip/") == []


async def test_a_redirected_voice_keeps_its_offer(visit: Visit):
    visit.server.whip.posts.append(Answer(307, {"Location": "/whip/elsewhere"}))
    await visit.speak()
    first, second = visit.server.requests("POST", "/whip/")
    assert (second.path, second.body) == ("/whip/elsewhere", first.body)


# when the connection is lost


async def test_a_lost_connection_is_made_again_and_the_old_session_ended_first(visit: Visit):
    await visit.speak()
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    visit.server.whip.posts.append(problem(409, "your old session is still there", Retry_After="1"))

    await visit.server.cut_media()
    await visit.state("reconnecting")
    await visit.state("on")
    await until(lambda: visit.server.ear.loudness > 0.01, WAIT_S, "speech at the server")
    order = [seen.method for seen in visit.server.seen if seen.path.startswith("/whip/") and seen.method != "PATCH"]
    assert order == ["POST", "DELETE", "POST", "POST"]


# what is seen


async def test_all_is_in_reach_on_every_screen(visit: Visit):
    await visit.speak()
    for width, height in ((360, 640), (640, 360), (768, 1024), (1280, 800)):
        await visit.page.set_viewport_size({"width": width, "height": height})
        size = await visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] <= size[1]
        for name in ("#talk", "#hush", "#device", "#mute", "#level", "#preview"):
            box = await visit.page.locator(name).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 44 or name in ("#level", "#preview")  # a finger's width; a switch's label is larger


async def test_the_keyboard_alone_is_enough(visit: Visit):
    await visit.publish()
    for _ in range(12):
        await visit.page.keyboard.press("Tab")
        if await visit.page.evaluate("document.activeElement.id") == "talk":
            break
    await visit.page.keyboard.press("Enter")
    await visit.state("on")
    await visit.page.keyboard.press("Enter")
    await visit.state("off")
    await visit.page.evaluate("document.activeElement.blur()")
    await visit.page.keyboard.press("Space")
    await visit.state("on")
