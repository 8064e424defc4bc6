"""Uploads that real people and bad ones send, on the real worker: spoken where they can be, else refused in words."""

import io
import struct
from collections.abc import AsyncIterator, Iterator

import av
import httpx
import numpy as np
import pytest

from tests.audio_files import audio_file, tone, wav
from tests.clients.event_log import EventLog, listening
from tests.clients.server_process import Server, running_server
from tests.clients.waiting import until

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

LIMIT = 1_000_000


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server with limits that a test can reach; small pictures, so that it starts quickly."""
    limits = {"max_upload_bytes": str(LIMIT), "max_speech_s": "20", "upload_stall_s": "3"}
    with running_server(log_name="strict", width="512", height="512", fps="10", **limits) as running:
        yield running


@pytest.fixture
async def http(strict: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=strict.base, timeout=30, trust_env=False) as client:
        yield client


async def post(http: httpx.AsyncClient, body: object) -> httpx.Response:
    return await http.post("/streams/demo/speech", content=body)  # type: ignore[arg-type]


def long_silence(hours: int) -> bytes:
    """Hours of silence in some kilobytes: FLAC at 8 kHz."""
    file, rate, block = io.BytesIO(), 8000, 8000 * 600
    with av.open(file, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=rate)
        stream.layout = "mono"  # type: ignore[attr-defined]
        for at in range(hours * 6):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, block), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, at * block
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def claiming_three_hours() -> bytes:
    """A WAV header that claims three hours, as a recorder that was cut off leaves it, and a second of sound."""
    rate = 8000
    claimed = 3 * 3600 * rate * 2
    head = (
        b"RIFF"
        + struct.pack("<I", 36 + claimed)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    )
    return head + b"data" + struct.pack("<I", claimed) + bytes(2 * rate)


async def in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


REFUSED = {
    "nothing": (b"", 422),
    "text": (b"Dear avatar, please say hello.\n" * 50, 422),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(2000), 422),
    "noise": (np.random.default_rng(5).bytes(50_000), 422),
    "half a header": (wav(tone(1.0))[:20], 422),
    "a header without sound": (wav(tone(1.0))[:44], 422),
    "three hours in a few kilobytes": (long_silence(3), 413),
    "too many bytes": (wav(tone(15.0)), 413),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
async def test_refused_with_a_reason_and_the_stream_goes_on(http, strict, name, chunked):
    body, status = REFUSED[name]
    worker = strict.worker().pid
    response = await post(http, in_chunks(body) if chunked else body)
    assert response.status_code == status, response.text
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status and problem["detail"] and problem["error"] == problem["detail"]
    assert (await http.get("/streams/demo")).json()["state"] == "idle"
    assert strict.worker().pid == worker


SPOKEN = {
    "telephone": wav(tone(0.6, rate=8000), rate=8000),
    "surround": wav(tone(0.6), layout="5.1"),
    "silence": wav(np.zeros(24_000, np.float32)),
    "high resolution": wav(tone(0.4, rate=96_000), rate=96_000),
    "a second that claims to be three hours": claiming_three_hours(),
    "one sample": wav(np.ones(1, np.float32)),
    "mp3": audio_file(tone(0.6), "mp3", "libmp3lame", 48_000),
    "ogg": audio_file(tone(0.6), "ogg", "libopus", 48_000),
    "webm": audio_file(tone(0.6), "webm", "libopus", 48_000, "stereo"),
}


async def spoken(events: EventLog, response: httpx.Response) -> None:
    assert response.status_code == 202, response.text
    utterance = response.json()["utterance"]
    await events.wait(20, "speech", state="started", utterance=utterance)
    await events.wait(20, "speech", state="finished", utterance=utterance)


@pytest.mark.parametrize("name", SPOKEN)
async def test_spoken_whatever_its_rate_and_channels(http, strict, name):
    async with listening(strict.base) as events:
        await spoken(events, await post(http, SPOKEN[name]))
        await events.wait_idle(20)


async def test_a_file_that_breaks_off_is_spoken_as_far_as_it_goes(http, strict):
    async with listening(strict.base) as events:
        response = await post(http, wav(tone(2.0))[:60_000])
        assert response.status_code == 202, response.text
        utterance = response.json()["utterance"]
        await events.wait(20, "speech", state="started", utterance=utterance)

        def ended() -> bool:
            return bool(
                events.find("speech", state="finished", utterance=utterance)
                or events.find("speech", state="failed", utterance=utterance)
            )

        await until(ended, 20, f"its end; had {events.events}")
        await events.wait_idle(20)
        await spoken(events, await post(http, SPOKEN["telephone"]))


async def test_a_sender_that_goes_away_in_the_middle_does_not_hold_up_the_next(http, strict):
    async with listening(strict.base) as events:
        half = wav(tone(5.0))

        async def giving_up() -> AsyncIterator[bytes]:
            yield half[:100]
            raise ConnectionAbortedError

        with pytest.raises(ConnectionAbortedError):
            await post(http, giving_up())
        await spoken(events, await post(http, SPOKEN["telephone"]))
        assert (await http.get("/streams/demo")).json()["queued"] == 0
