"""What reads text aloud: a speech endpoint over real HTTP, and espeak-ng itself."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import psutil
import pytest
import pytest_asyncio

from tests.clients.scripted_speech import Reply, ScriptedSpeech, scripted_speech
from tests.clients.waiting import until
from tests.unit.test_pcm_reader import streamed, wav
from whep_server.command.check_machine import check_text
from whep_server.command.findings import Finding
from whep_server.environment import LENT
from whep_server.errors import NotSpeech, ServerError, SynthesisFailed, Unavailable
from whep_server.settings import Settings
from whep_server.web.espeak_ng import EspeakNg
from whep_server.web.pcm_reader import PcmFormat
from whep_server.web.speech_endpoint import SpeechEndpoint
from whep_server.web.synthesis import Synthesizer, Words

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "sk-secret-0123456789"
SOUND = bytes(range(1, 101)) * 20
PROGRAM = shutil.which("espeak-ng") or ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_remote() -> AsyncIterator[ScriptedSpeech]:
    async with scripted_speech() as running:
        yield running


@pytest.fixture
def remote(one_remote: ScriptedSpeech) -> ScriptedSpeech:
    """As if it had just started."""
    one_remote.asked.clear()
    one_remote.gone = 0
    return one_remote


@pytest_asyncio.fixture(loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as opened:
        yield opened


def endpoint(remote: ScriptedSpeech, client: httpx.AsyncClient, **changes: object) -> SpeechEndpoint:
    usual = {"tts_url": remote.url, "tts_key": KEY, "tts_timeout_s": 5.0}
    return SpeechEndpoint(Settings(**usual | changes), client)


async def heard(synthesizer: Synthesizer, words: Words) -> tuple[PcmFormat, bytes]:
    async with aclosing(synthesizer.read(words)) as sound:
        pieces = [pcm async for pcm in sound]
    assert len({pcm.format for pcm in pieces}) == 1
    return pieces[0].format, b"".join(pcm.data for pcm in pieces)


async def fault(synthesizer: Synthesizer, words: Words = Words("hello")) -> ServerError:  # noqa: B008  it is frozen
    with pytest.raises(ServerError) as caught:
        await heard(synthesizer, words)
    assert KEY not in str(caught.value.detail)
    return caught.value


# the endpoint


async def test_it_is_asked_as_the_contract_says(remote, client):
    remote.reply = Reply([SOUND])
    assert await heard(endpoint(remote, client), Words("Hello, wörld.")) == (PcmFormat(24_000, 1), SOUND)
    words = Words("Hi", voice="nova", speed=1.5, model="gpt-4o-mini-tts", instructions="Whisper.")
    await heard(endpoint(remote, client, tts_voice="echo"), words)
    await heard(endpoint(remote, client, tts_url=remote.url + "/", tts_key="", tts_voice="echo"), Words("Hi"))

    first, second, third = remote.asked
    assert first.path == second.path == third.path == "/v1/audio/speech"
    assert first.headers["authorization"] == f"Bearer {KEY}" and "authorization" not in third.headers
    assert first.body == {"model": "tts-1", "voice": "alloy", "input": "Hello, wörld.", "response_format": "pcm"}
    assert second.body == {
        "model": "gpt-4o-mini-tts",
        "voice": "nova",
        "input": "Hi",
        "response_format": "pcm",
        "speed": 1.5,
        "instructions": "Whisper.",
    }
    assert third.body["voice"] == "echo"


async def test_its_sound_is_given_out_while_it_is_made(remote, client):
    go_on = asyncio.Event()
    remote.reply = Reply([SOUND[:101], go_on, SOUND[101:]])
    async with aclosing(endpoint(remote, client).read(Words("hello"))) as sound:
        first = await anext(sound)
        assert first.data == SOUND[:100]  # half a sample waits for its other half
        go_on.set()
        assert b"".join([pcm.data async for pcm in sound]) == SOUND[100:]


@pytest.mark.parametrize("kind", ["audio/wav", "audio/mpeg", "application/octet-stream", None])
async def test_wav_is_known_by_its_first_bytes_whatever_it_is_called(remote, client, kind):
    remote.reply = Reply([wav(SOUND)[:10], wav(SOUND)[10:]], content_type=kind)
    assert await heard(endpoint(remote, client), Words("hello")) == (PcmFormat(22_050, 1), SOUND)
    remote.reply = Reply([streamed(0xFFFF_FFFF, rate=48_000), SOUND], content_type=kind)
    assert await heard(endpoint(remote, client), Words("hello")) == (PcmFormat(48_000, 1), SOUND)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("audio/pcm", PcmFormat(24_000, 1)),
        ("audio/mpeg", PcmFormat(24_000, 1)),  # what some proxies call all that they pass on
        ("audio/pcm;rate=16000", PcmFormat(16_000, 1)),
        ("audio/pcm; rate=48000; channels=2", PcmFormat(48_000, 2)),
        ("Application/Octet-Stream", PcmFormat(24_000, 1)),
        (None, PcmFormat(24_000, 1)),
    ],
)
async def test_bare_samples_are_what_their_type_says(remote, client, kind, form):
    remote.reply = Reply([SOUND], content_type=kind)
    assert await heard(endpoint(remote, client), Words("hello")) == (form, SOUND)


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        (
            Reply([b'{"error": {"message": "no voice \'x\'", "type": "y"}}'], 400, "application/json"),
            502,
            "no voice 'x'",
        ),
        (Reply([b'{"detail": [{"msg": "Field required"}]}'], 422, "application/json"), 502, "Field required"),
        (Reply([b'{"error": {"message": "Incorrect API key: sk-se"}}'], 401, "application/json"), 502, r"key \(401\)"),
        (Reply([b'{"error": {"message": "your key ' + KEY.encode() + b'"}}'], 404), 502, r"answers 404$"),
        (Reply([b"<html>" * 100_000], 500, "text/html"), 502, r"answers 500$"),
        (Reply([], 302), 502, "302"),
        (Reply([], 429), 503, "busy"),
        (Reply([b'{"error": "none left"}'], 200, "application/json"), 502, "application/json, which is not sound"),
        (Reply([], 200), 502, "empty"),
        (Reply([b"ID3\x04" + SOUND], 200, "audio/mpeg"), 502, "it is MP3"),
        (Reply([SOUND], 200, "audio/wav"), 502, "not WAV"),
        (Reply([SOUND], 200, "audio/pcm;rate=1e9"), 502, "rate"),
        (Reply([], 200, ends=False), 502, "broke off"),
    ],
)
async def test_what_it_answers_instead_is_told_in_words_without_the_key(remote, client, reply, status, words):
    remote.reply = reply
    error = await fault(endpoint(remote, client))
    assert error.status == status
    with pytest.raises(type(error), match=words):
        raise error


async def test_one_that_dies_in_mid_sentence_gives_what_it_had(remote, client):
    remote.reply = Reply([SOUND], ends=False)
    async with aclosing(endpoint(remote, client).read(Words("hello"))) as sound:
        assert (await anext(sound)).data == SOUND
        with pytest.raises(SynthesisFailed, match="broke off"):
            await anext(sound)


@pytest.mark.parametrize("before", [(), (SOUND,)])
async def test_one_that_hangs_is_given_up(remote, client, before):
    remote.reply = Reply([*before, asyncio.Event()])
    error = await fault(endpoint(remote, client, tts_timeout_s=0.2))
    assert isinstance(error, Unavailable) and error.detail == "the speech endpoint was silent for 0.2 s"
    await until(lambda: remote.answering == 0, 5, "the request given up")
    assert remote.gone == 1


async def test_one_that_is_not_there_is_told(remote, client):
    error = await fault(endpoint(remote, client, tts_url="http://127.0.0.1:1/v1"))
    assert (error.status, error.detail) == (503, "the speech endpoint cannot be reached")


async def test_who_stops_listening_ends_the_request(remote, client):
    remote.reply = Reply([SOUND, asyncio.Event()])
    sound = endpoint(remote, client).read(Words("hello"))
    await anext(sound)
    assert remote.answering == 1
    await sound.aclose()
    await until(lambda: remote.gone == 1, 5, "the request ended")


async def test_an_endpoint_that_points_elsewhere_is_not_followed(client):
    asked: list[bytes] = []

    async def point_elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        here = "http://{}:{}/elsewhere".format(*writer.get_extra_info("sockname"))
        writer.write(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {here}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(point_elsewhere, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        error = await fault(SpeechEndpoint(Settings(tts_url=f"http://{host}:{port}/v1", tts_key=KEY), client))
    assert isinstance(error, SynthesisFailed) and "307" in error.detail
    assert asked == [b"POST /v1/audio/speech HTTP/1.1\r\n"]


# espeak-ng

needs_espeak = pytest.mark.skipif(not PROGRAM, reason="espeak-ng is not installed")


@needs_espeak
async def test_espeak_reads_in_the_voice_and_at_the_speed_asked_for():
    reader = EspeakNg(PROGRAM, Settings())
    form, usual = await heard(reader, Words("Hello there, how are you today?"))
    assert form == PcmFormat(22_050, 1) and len(usual) > form.sample_rate  # half a second
    _, hurried = await heard(reader, Words("Hello there, how are you today?", speed=2.0))
    assert len(hurried) < 0.75 * len(usual)
    _, german = await heard(reader, Words("Hello there, how are you today?", voice="de"))
    assert german != usual
    _, text = await heard(reader, Words("[[h@l'oU]]"))
    _, letters = await heard(reader, Words("[ [h@l'oU]]"))
    assert text == letters  # no phonemes


@needs_espeak
async def test_a_voice_that_espeak_does_not_have_is_the_caller_s_fault():
    for voice in ("nobody", "../../etc/passwd", "-w", "", "en us", "a" * 65):
        assert isinstance(await fault(EspeakNg(PROGRAM, Settings(tts_voice=voice or "x y"))), NotSpeech)


@needs_espeak
async def test_no_process_is_left_of_a_text_that_is_not_heard_to_its_end():
    sound = EspeakNg(PROGRAM, Settings()).read(Words("This goes on and on. " * 240))
    await anext(sound)
    (child,) = (each for each in psutil.Process().children() if "espeak" in each.name())
    assert child.cmdline()[1:] == ["--stdin", "--stdout", "-b", "1", "-v", "en-us", "-s", "175"]  # no text among them
    await sound.aclose()
    assert not child.is_running()


@needs_espeak
async def test_a_text_that_is_taken_back_while_its_process_begins_leaves_none():
    def children() -> list[psutil.Process]:
        return [each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]

    before = children()
    for turns in range(8):  # of the event loop, before it is taken back
        reading = asyncio.ensure_future(heard(EspeakNg(PROGRAM, Settings()), Words("This goes on and on. " * 240)))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await until(lambda: children() == before, 10, "no process left")


async def test_a_program_that_cannot_be_started_or_fails_is_told(tmp_path):
    missing = await fault(EspeakNg(str(tmp_path / "gone"), Settings()))
    assert missing.status == 503
    for script, words in (("exit 3", "ended with status 3"), ("exec cat >/dev/null", "it is empty")):
        program = tmp_path / "espeak-ng"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        error = await fault(EspeakNg(str(program), Settings()))
        assert isinstance(error, SynthesisFailed) and words in error.detail
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    error = await fault(EspeakNg(str(program), Settings(tts_timeout_s=0.2)))
    assert isinstance(error, Unavailable) and "silent for 0.2 s" in error.detail
    assert not [child for child in psutil.Process().children() if "sleep" in child.name()]


async def test_a_program_is_told_nothing_of_our_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("WHEP_AVATAR_TTS_KEY", KEY)
    monkeypatch.setenv("SOMEBODY_S_TOKEN", KEY)
    told = tmp_path / "told"
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\nenv >{told}\ncat >/dev/null\n")
    program.chmod(0o755)
    await fault(EspeakNg(str(program), Settings()))
    names = {line.partition("=")[0] for line in told.read_text().splitlines()}
    assert "PATH" in names and names - {"PWD", "OLDPWD", "SHLVL", "_"} <= set(LENT)  # those are the shell's own
    assert KEY not in told.read_text()


# the doctor


async def examined(**settings: object) -> Finding:
    (finding,) = await asyncio.to_thread(lambda: list(check_text(Settings(**settings))))
    assert KEY not in finding.says + finding.fix and not finding.fatal
    return finding


async def test_the_doctor_says_what_reads_text(remote):
    remote.reply = Reply([b"{}"])
    found = await examined(tts_url=remote.url, tts_key=KEY)
    assert (found.ok, found.says) == (True, f"read aloud by {remote.url}")
    assert remote.asked[0].path == "/v1/models" and remote.asked[0].headers["authorization"] == f"Bearer {KEY}"
    remote.reply = Reply([], 401)
    found = await examined(tts_url=remote.url, tts_key=KEY)
    assert not found.ok and "does not take the key" in found.says
    found = await examined(tts_url="http://127.0.0.1:1/v1")
    assert not found.ok and "cannot be reached" in found.says
    found = await examined()
    assert found.ok == bool(PROGRAM) and (PROGRAM or "nothing") in found.says
