"""Speech that is streamed in: what is said and told, over a real socket, above a fake live layer."""

import base64
import json

import pytest

from tests.clients.pcm_socket import pcm_socket
from tests.clients.waiting import until
from tests.integration.http_server import assert_problem
from tests.integration.pcm_server import heard, pcm_serving, samples
from whep_server.errors import AlreadyPublishing, TooMany

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_utterance_from_its_first_sample_to_its_last(socket, voice):
    begun = await socket.begin(sample_rate=16_000, channels=2, start_ms=40)
    assert begun == {"type": "begun", "utterance": "u1", "credit": voice.window}
    speech = voice.made[0]
    assert (speech.sample_rate, speech.channels, speech.start_ms) == (16_000, 2, 40)
    sent = samples(6400)
    await socket.samples(sent[:3200])
    await socket.say("append", audio=base64.b64encode(sent[3200:6000]).decode())
    await socket.say("mark", name="nearly there")
    await socket.samples(sent[6000:])
    await socket.say("commit")
    await until(lambda: speech.committed, 5, "committed")
    assert speech.heard == sent
    started = await socket.until("started")
    assert started == {"type": "started", "utterance": "u1", "played_samples": 0, "media_time_s": 7.0}
    speech.play(6000)
    assert await socket.until("credit") == {"type": "credit", "utterance": "u1", "bytes": 6000}
    mark = await socket.until("mark")
    assert (mark["name"], mark["played_samples"]) == ("nearly there", 1500 * 3)
    speech.play()
    finished = await socket.until("finished")
    assert finished["played_samples"] == 1600 * 3
    assert {event["utterance"] for event in socket.told[1:]} == {"u1"}


async def test_the_next_utterance_may_follow_at_once(socket, voice):
    for _ in range(3):
        await socket.say("begin", sample_rate=24_000)
        await socket.samples(samples(960))
        await socket.say("commit")
    names = [(await socket.until("begun"))["utterance"] for _ in range(3)]
    assert names == ["u1", "u2", "u3"]
    await until(lambda: len(voice.made) == 3 and voice.made[2].committed, 5, "all committed")
    for speech in voice.made:
        speech.play()
        assert (await socket.until("finished"))["utterance"] == speech.id


async def test_a_pause_is_told_and_its_end(socket, voice):
    await socket.begin()
    await socket.samples(samples(960))
    await heard(voice.made[0], 960)
    voice.made[0].tell("underrun")
    voice.made[0].tell("resumed")
    voice.made[0].stop("failed", detail="the speech engine was lost")
    assert (await socket.until("underrun"))["utterance"] == "u1"
    assert (await socket.until("resumed"))["played_samples"] == 0
    assert (await socket.until("failed"))["detail"] == "the speech engine was lost"
    await socket.samples(samples(960))  # it does not know yet
    await socket.say("commit")
    assert (await socket.begin())["utterance"] == "u2"
    assert "error" not in {event["type"] for event in socket.told}


# --- falling silent


async def test_cancel_silences_the_utterance_that_is_open(socket, voice):
    await socket.begin()
    await socket.samples(samples(960))
    await heard(voice.made[0], 960)
    voice.made[0].play(480)
    await socket.say("cancel")
    interrupted = await socket.until("interrupted")
    assert (interrupted["utterance"], interrupted["played_samples"]) == ("u1", 480)
    assert voice.made[0].end == "interrupted"
    assert (await socket.begin())["utterance"] == "u2"


async def test_cancel_silences_what_was_committed_and_waits_all_of_it_or_one(socket, voice):
    for _ in range(3):
        await socket.begin()
        await socket.samples(samples(960))
        await socket.say("commit")
    await socket.say("cancel", utterance="u2")
    assert (await socket.until("interrupted"))["utterance"] == "u2"
    assert [speech.end for speech in voice.made] == [None, "interrupted", None]
    await socket.say("cancel")
    assert {(await socket.until("interrupted"))["utterance"] for _ in range(2)} == {"u1", "u3"}
    await socket.say("cancel")
    assert await socket.error() == "not-begun"


async def test_interrupt_silences_all_and_says_what_it_did(pcm_server, socket, voice):
    other = voice.open(24_000, 1, None)  # somebody else's
    await other.append(bytes(960))
    other.commit()
    other.play(480)
    await socket.begin()
    await socket.samples(samples(960))
    await heard(voice.made[1], 960)
    await socket.say("interrupt")
    silenced = await socket.until("silenced")
    assert silenced == {
        "type": "silenced",
        "utterance": "u1",
        "played_samples": 480,
        "played_s": 0.01,
        "dropped": ["u2"],
    }
    assert (
        "u2" in [event["utterance"] for event in socket.told if event["type"] == "interrupted"]
        or (await socket.until("interrupted"))["utterance"] == "u2"
    )


async def test_the_route_interrupts_and_a_connection_hears_of_it(pcm_server, socket, voice):
    nothing = await pcm_server.http.post("/streams/demo/interrupt")
    assert nothing.status_code == 200
    assert nothing.json() == {"utterance": None, "played_samples": 0, "played_s": 0.0, "dropped": []}
    await socket.begin()
    await socket.samples(samples(4800))
    await heard(voice.made[0], 4800)
    voice.made[0].play(2400)
    answer = await pcm_server.http.post("/streams/demo/interrupt", content=b"whatever")
    assert answer.json() == {"utterance": "u1", "played_samples": 2400, "played_s": 0.05, "dropped": []}
    assert (await socket.until("interrupted"))["played_samples"] == 2400
    voice.silent = True
    assert_problem(await pcm_server.http.post("/streams/demo/interrupt"), 503)
    assert_problem(await pcm_server.http.post("/streams/nobody/interrupt"), 404)


# --- bad input: a named error, and the connection goes on


BAD = [
    ("}{", "not-json"),
    ('"begin"', "not-an-object"),
    ("[]", "not-an-object"),
    ("{}", "unknown-type"),
    ('{"type":"end"}', "unknown-type"),
    ('{"type":5}', "unknown-type"),
    ('{"type":"begin"}', "bad-member"),
    ('{"type":"begin","sample_rate":0}', "bad-member"),
    ('{"type":"begin","sample_rate":7999}', "bad-member"),
    ('{"type":"begin","sample_rate":96001}', "bad-member"),
    ('{"type":"begin","sample_rate":"x"}', "bad-member"),
    ('{"type":"begin","sample_rate":24000,"channels":3}', "bad-member"),
    ('{"type":"begin","sample_rate":24000,"channels":0}', "bad-member"),
    ('{"type":"begin","sample_rate":24000,"start_ms":-1}', "bad-member"),
    ('{"type":"append","audio":"AAAA"}', "not-begun"),
    ('{"type":"mark","name":"m"}', "not-begun"),
    ('{"type":"commit"}', "not-begun"),
    ('{"type":"cancel"}', "not-begun"),
    (b"\0\0", "not-begun"),
]
BAD_INSIDE = [
    ('{"type":"begin","sample_rate":24000}', "already-begun"),
    ('{"type":"append","audio":"@@@@"}', "bad-member"),
    ('{"type":"append","audio":"AAA="}', None),
    ('{"type":"append","audio":"AAAA"}', "cut-sample"),
    ('{"type":"append"}', "bad-member"),
    (b"\0\0\0", "cut-sample"),
    (json.dumps({"type": "mark", "name": "m" * 257}), "bad-member"),
    ('{"type":"mark","name":""}', "bad-member"),
    ('{"type":"cancel","utterance":"u9"}', "not-begun"),
    ('{"type":"mark","name":"m","more":' + "[" * 100_000, "not-json"),
]


async def test_what_cannot_be_understood_is_a_named_error_and_the_connection_goes_on(socket, voice):
    for said, _ in BAD:
        await socket.socket.send(said)
    assert [await socket.error() for _ in BAD] == [name for _, name in BAD]
    assert voice.made == []
    await socket.begin()
    for said, _ in BAD_INSIDE:
        await socket.socket.send(said)
    wanted = [name for _, name in BAD_INSIDE if name]
    assert [await socket.error() for _ in wanted] == wanted
    assert {event["fatal"] for event in socket.told if event["type"] == "error"} == {False}
    assert {event["utterance"] for event in socket.told[-len(wanted) :]} == {"u1"}
    await socket.say("commit")
    await until(lambda: voice.made[0].committed, 5, "committed")
    assert voice.made[0].heard == b"\0\0"


async def test_an_utterance_without_a_sample_is_none(socket, voice):
    await socket.begin()
    await socket.samples(b"")
    await socket.say("commit")
    assert await socket.error() == "no-audio"
    assert voice.made[0].end == "interrupted"
    assert (await socket.begin())["utterance"] == "u2"


async def test_two_producers_and_a_publisher(pcm_server, socket, voice):
    await socket.begin()
    async with pcm_socket(pcm_server.base) as other:
        for _ in range(2):  # what a refused utterance is sent is passed over: its refusal was the answer
            await other.say("begin", sample_rate=24_000)
            await other.samples(samples(960))
            await other.say("mark", name="m")
            await other.say("commit")
            assert await other.error() == "already-speaking"
        voice.fault = AlreadyPublishing("a publisher has this stream")
        await other.say("begin", sample_rate=24_000)
        assert await other.error() == "already-publishing"
        voice.fault = TooMany("32 utterances are waiting")
        await other.say("begin", sample_rate=24_000)
        assert await other.error() == "too-many"
        voice.fault = None
        await socket.samples(samples(960))
        await socket.say("commit")
        await until(lambda: voice.made[0].committed, 5, "committed")
        assert (await other.begin())["utterance"] == "u2"
        assert [event["type"] for event in other.told].count("error") == 4


async def test_a_stream_that_is_taken_off_the_air(pcm_server, socket):
    await pcm_server.registry.take_off_air("demo")
    await socket.say("begin", sample_rate=24_000)
    assert await socket.error() == "not-on-air"
    await socket.say("interrupt")
    assert await socket.error() == "not-on-air"


async def test_who_begins_and_sends_nothing_loses_the_place():
    async with pcm_serving(pcm_gap_s=1) as server, pcm_socket(server.base) as silent:
        voice = server.registry.stream("demo").pcm
        await silent.begin()
        await silent.say("mark", name="which is no sample")
        async with pcm_socket(server.base) as other:
            await other.say("begin", sample_rate=24_000)
            assert await other.error() == "already-speaking"
            assert await silent.error() == "no-samples"
            assert "no samples came for 1 s" in (await silent.until("failed"))["detail"]
            assert (await other.begin())["utterance"] == "u2"
            await other.samples(samples(960))
            await other.until("started")  # from here on it is the worker that is patient
            await silent.samples(samples(960))  # passed over: it is over
            await silent.say("commit")
        await until(lambda: voice.made[1].committed, 5, "spoken as far as it came")
        assert voice.made[0].heard == b"" and voice.made[1].heard == samples(960)
        assert (await silent.begin())["utterance"] == "u3"
