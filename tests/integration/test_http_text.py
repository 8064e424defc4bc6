"""Text over HTTP, read by a speech endpoint on a real socket, spoken on the real live layer; the worker is a fake."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from avatar.messages import ClosePcm, OpenPcm, PcmChunk
from tests.clients.event_log import listening
from tests.clients.scripted_speech import Reply, ScriptedSpeech, scripted_speech
from tests.clients.waiting import until
from tests.fakes import SIZE, FakeOpener
from tests.integration.http_server import assert_problem, serving, until_answer
from tests.unit.test_pcm_reader import wav
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

SPEECH = "/streams/demo/speech"
SOUND = bytes(24_000)
"""Half a second as the contract has it."""
SECONDS = 0.5
KEY = "sk-secret-0123456789"

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def remote() -> AsyncIterator[ScriptedSpeech]:
    async with scripted_speech() as running:
        yield running


@pytest.fixture
def opener() -> FakeOpener:
    return FakeOpener()


@pytest.fixture
def serve(opener: FakeOpener, remote: ScriptedSpeech) -> Serve:
    @asynccontextmanager
    async def open_live(settings: Settings) -> AsyncIterator[Registry]:
        async with open_registry(settings, opener) as registry:
            yield registry

    @asynccontextmanager
    async def serving_live(**changes: object) -> AsyncIterator[httpx.AsyncClient]:
        usual = {"width": SIZE[0], "height": SIZE[1], "tts_url": remote.url, "tts_key": KEY}
        async with serving(Settings(**usual | changes), open_live) as client:
            await until_answer(client, "/readyz", lambda answer: answer.status_code == 200)
            yield client

    return serving_live


def taken(opener: FakeOpener, utterance: str) -> bytes:
    """The samples that came to the worker."""
    sent = [each for each in opener.worker.sent if isinstance(each, PcmChunk) and each.utterance == utterance]
    return b"".join(each.data for each in sent)


def opened(opener: FakeOpener) -> list[tuple[str, int, int]]:
    found = [each for each in opener.worker.sent if isinstance(each, OpenPcm)]
    return [(each.utterance, each.sample_rate, each.channels) for each in found]


async def say(http: httpx.AsyncClient, text: str) -> httpx.Response:
    return await http.post(SPEECH, json={"text": text})


async def accepted(http: httpx.AsyncClient, text: str) -> str:
    response = await say(http, text)
    assert response.status_code == 202, response.text
    assert response.json()["seconds"] is None
    return str(response.json()["utterance"])


async def test_text_is_read_and_spoken(serve, remote, opener):
    remote.reply = Reply([SOUND[:1000], SOUND[1000:]])
    plain = {"content": "Hellö.", "headers": {"Content-Type": "text/plain; charset=utf-8"}}
    json = {"json": {"text": "Hellö.", "voice": "nova", "speed": 1.5, "model": "m", "instructions": "softly"}}
    async with serve() as http, listening(str(http.base_url)) as events:
        for request in (plain, json):
            response = await http.post(SPEECH, **request)
            assert response.status_code == 202, response.text
            utterance = response.json()["utterance"]
            assert response.json() == {"utterance": utterance, "seconds": None, "queued": 0}
            finished = await events.wait(10, "speech", state="finished", utterance=utterance)
            assert finished.data["played_s"] == SECONDS
            assert taken(opener, utterance) == SOUND and opened(opener)[-1] == (utterance, 24_000, 1)
            await events.wait_idle(10)
    assert [asked.body["input"] for asked in remote.asked] == ["Hellö."] * 2
    assert [asked.body["voice"] for asked in remote.asked] == ["alloy", "nova"]


async def test_a_wav_is_spoken_at_its_own_rate(serve, remote, opener):
    remote.reply = Reply([wav(SOUND, rate=16_000)], content_type="audio/wav")
    async with serve() as http:
        utterance = await accepted(http, "hello")
        await until(lambda: [each for each in opener.worker.sent if isinstance(each, ClosePcm)], 5, "whole")
    assert opened(opener) == [(utterance, 16_000, 1)] and taken(opener, utterance) == SOUND


async def test_the_answer_comes_while_the_rest_is_still_being_made(serve, remote, opener):
    rest = asyncio.Event()
    remote.reply = Reply([SOUND, rest, SOUND])
    async with serve() as http, listening(str(http.base_url)) as events:
        utterance = await accepted(http, "hello")
        assert remote.answering == 1
        await events.wait(5, "speech", state="started", utterance=utterance)
        rest.set()
        await events.wait(10, "speech", state="finished", utterance=utterance)
    assert len(taken(opener, utterance)) == 2 * len(SOUND)


async def test_texts_are_spoken_in_order_and_made_at_once(serve, remote, opener):
    rest = asyncio.Event()
    remote.reply = Reply([SOUND, rest, SOUND])
    async with serve() as http, listening(str(http.base_url)) as events, asyncio.TaskGroup() as group:
        first = await accepted(http, "first")
        remote.reply = Reply([SOUND])
        second = group.create_task(accepted(http, "second"))
        await until(lambda: len(remote.asked) == 2, 5, "the second one asked for")
        third = group.create_task(accepted(http, "third"))
        await until(lambda: len(remote.asked) == 3 and remote.answering == 1, 5, "both made, while the first is")
        assert not second.done() and len(opened(opener)) == 1
        rest.set()
        spoken = [first, await second, await third]
        await events.wait(10, "speech", state="finished", utterance=spoken[2])
        order = [event.data["utterance"] for event in events.find("speech", state="started")]
    assert order == spoken and [utterance for utterance, *_ in opened(opener)] == spoken


async def test_a_text_is_not_left_without_an_answer_while_a_long_one_is_read(serve, remote, monkeypatch):
    monkeypatch.setattr("whep_server.web.narration.TURN_S", 0.2)
    remote.reply = Reply([SOUND, asyncio.Event()])
    async with serve() as http, listening(str(http.base_url)) as events:
        utterance = await accepted(http, "this goes on")
        refused = await say(http, "and this")
        assert_problem(refused, 429)
        assert "Retry-After" in refused.headers
        await http.post("/streams/demo/interrupt")
        await events.wait(5, "speech", state="interrupted", utterance=utterance)
        remote.reply = Reply([SOUND])
        await accepted(http, "and then this")


async def test_an_interruption_stops_the_synthesis_and_drops_what_waits(serve, remote, opener):
    remote.reply = Reply([SOUND, asyncio.Event()])
    async with serve() as http, listening(str(http.base_url)) as events, asyncio.TaskGroup() as group:
        utterance = await accepted(http, "this goes on")
        waiting = group.create_task(say(http, "and this"))
        await until(lambda: len(remote.asked) == 2, 5, "the second one asked for")
        await events.wait(5, "speech", state="started", utterance=utterance)

        done = await http.post("/streams/demo/interrupt")
        assert done.status_code == 200 and done.json()["utterance"] == utterance
        assert assert_problem(await waiting, 409)["title"] == "Interrupted"
        await until(lambda: remote.answering == 0, 5, "no request under way")
        assert remote.gone == 2

        remote.reply = Reply([SOUND])
        after = await accepted(http, "after that")
        await events.wait(10, "speech", state="finished", utterance=after)


async def test_an_interruption_counts_for_what_has_no_sound_yet(serve, remote, opener):
    made = asyncio.Event()
    remote.reply = Reply([made, SOUND])
    async with serve() as http, asyncio.TaskGroup() as group:
        waiting = group.create_task(say(http, "hello"))
        await until(lambda: remote.answering == 1, 5, "the request")
        assert (await http.post("/streams/demo/interrupt")).status_code == 200
        made.set()
        assert_problem(await waiting, 409)
    assert opened(opener) == []


async def test_a_client_that_goes_away_first_is_not_spoken_for(serve, remote, opener):
    remote.reply = Reply([asyncio.Event()])
    async with serve() as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(SPEECH, json={"text": "hello"}, timeout=0.3)
        await until(lambda: remote.gone == 1, 5, "the synthesis stopped")
        remote.reply = Reply([SOUND])
        await accepted(http, "the next one")
    assert len(opened(opener)) == 1


async def test_one_that_dies_in_mid_sentence_is_spoken_so_far_and_told(serve, remote):
    remote.reply = Reply([SOUND], ends=False)
    async with serve() as http, listening(str(http.base_url)) as events:
        utterance = await accepted(http, "hello")
        failed = await events.wait(10, "speech", state="failed", utterance=utterance)
        assert failed.data["detail"] == "the speech endpoint broke off" and failed.data["played_s"] == SECONDS
        remote.reply = Reply([SOUND])
        await accepted(http, "the stream goes on")


async def test_what_the_endpoint_does_wrong_is_a_problem_that_keeps_the_key(serve, remote, opener, caplog):
    async with serve() as http:
        for reply, status in (
            (Reply([b'{"error": {"message": "no"}}'], 500, "application/json"), 502),
            (Reply([b'{"error": {"message": "%b"}}' % KEY.encode()], 401, "application/json"), 502),
            (Reply([], 429), 503),
            (Reply([b"x"]), 502),
        ):
            remote.reply = reply
            told = assert_problem(await say(http, "hello"), status)
            assert "speech endpoint" in str(told["detail"])
            assert KEY not in str(told) + caplog.text
    assert opened(opener) == []


async def test_text_that_cannot_be_spoken_is_refused_before_it_is_read(serve, remote):
    async with serve(max_text_chars=50) as http:
        for kind, body, status in (
            ("text/plain", b"", 422),
            ("text/plain", b" \n\x00 ", 422),
            ("application/json", b'{"text": "  "}', 422),
            ("application/json", b'{"text": 5}', 400),
            ("application/json", b"", 400),
            ("text/plain", b"\xff", 400),
            ("text/plain; charset=utf-16", b"a\0", 415),
            ("text/plain", b"a" * 51, 413),
            ("application/json", b'{"text": "%b"}' % (b"a" * 70_000), 413),
        ):
            assert_problem(await http.post(SPEECH, content=body, headers={"Content-Type": kind}), status)
        assert_problem(await http.post("/streams/nobody/speech", json={"text": "x"}), 404)
        assert remote.asked == []
        remote.reply = Reply([SOUND])
        assert (await http.post(SPEECH, content=b"a" * 50, headers={"Content-Type": "text/plain"})).status_code == 202


async def test_texts_do_not_pile_up(serve, remote):
    remote.reply = Reply([asyncio.Event()])
    async with serve(max_queued_utterances=2) as http, asyncio.TaskGroup() as group:
        waiting = [group.create_task(say(http, "hello")) for _ in range(2)]
        await until(lambda: remote.answering == 2, 5, "both asked for")
        assert int((await say(http, "one more")).headers["retry-after"]) > 0
        assert len(remote.asked) == 2
        for task in waiting:
            task.cancel()


async def test_text_needs_the_token(serve, remote):
    remote.reply = Reply([SOUND])
    async with serve(publish_token="hush") as http:
        assert_problem(await say(http, "hello"), 401)
        assert remote.asked == []
        assert (
            await http.post(SPEECH, json={"text": "x"}, headers={"Authorization": "Bearer hush"})
        ).status_code == 202


async def test_without_anything_that_reads_text_it_says_what_to_set(serve, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    async with serve(tts_url="") as http:
        told = assert_problem(await say(http, "hello"), 501)
        assert "WHEP_AVATAR_TTS_URL" in str(told["detail"]) and "espeak-ng" in str(told["detail"])


async def test_a_server_that_ends_does_not_wait_for_the_endpoint(serve, remote):
    remote.reply = Reply([SOUND, asyncio.Event()])
    async with serve() as http:
        await accepted(http, "hello")
        assert remote.answering == 1
    await until(lambda: remote.gone == 1, 5, "the request ended")
