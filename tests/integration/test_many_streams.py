"""Twenty streams speak at once and are interrupted a thousand times: each viewer hears its own, and nothing stale.

The worker is a real process with real encoders; its engine is a toy, so that twenty streams fit on any machine. What is
said tells who said it: every stream has its tones, one utterance after another a different one, and its face a colour.
"""

import asyncio
import io
import random
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from operator import itemgetter

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.client import open_worker
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VideoFormat
from bench.decoding import hear
from bench.decoding import pictures as decoded
from bench.observations import Observation, tracks
from bench.observer import Answer, Observer, Wish, on_loopback
from tests.aiortc_player import eventually
from tests.fake_engine import FACES, SIZE, face_chroma
from tests.worker_show import FAKE
from whep_server.errors import TooManySpeak
from whep_server.live.admission import UNKNOWN_S
from whep_server.live.registry import Registry, open_registry
from whep_server.live.stream import Stream
from whep_server.settings import Settings

pytestmark = pytest.mark.timeout(400)

STREAMS = FACES
CUTS = 50
TONES = 4
"""Of a stream, taken in turn: what is stale cannot be taken for what is new."""
LOWEST_HZ, STEP_HZ = 400, 85
TONE_HZ = 16_000
TONE_S = 4
"""Longer than any is spoken before it is interrupted, on a machine that is slow and busy."""
WINDOW = 2 * OPUS_SAMPLES
FAINT = 0.15
"""Below it is what an encoder makes of a beginning or an end; a tone's root mean square is 0.35."""
SMEAR = WINDOW + OPUS_SAMPLES
"""A window has two tones in it where one follows on another, and the decoder rings for a moment."""
DEADLINE_S = 60.0


def hz_of(stream: int, utterance: int) -> int:
    return LOWEST_HZ + STEP_HZ * (TONES * stream + utterance % TONES)


@cache
def tone_file(hz: int, seconds: int = TONE_S) -> bytes:
    samples = 0.5 * np.sin(2 * np.pi * hz * np.arange(seconds * TONE_HZ) / TONE_HZ)
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(TONE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return made.getvalue()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


@dataclass(frozen=True, slots=True)
class Direct:
    """Offers handed to a stream without HTTP between."""

    stream: Stream

    async def offer(self, sdp: str) -> Answer:
        return Answer((await self.stream.open_viewer(sdp)).answer, "")

    async def leave(self, session: str) -> None:
        pass


@dataclass
class Watching:
    """A stream, its viewer, and what the viewer got."""

    number: int
    stream: Stream
    observer: Observer
    seen: Observation
    played: list[int] = field(default_factory=list)
    """Of each utterance, samples that the server says were played."""

    async def hear_more(self, packets: int) -> None:
        """Wait for so many more packets of sound."""
        wanted = len(self.seen.audio) + packets
        await eventually(lambda: len(self.seen.audio) >= wanted, DEADLINE_S)

    async def speak_and_be_cut_off(self, chance: random.Random) -> None:
        """Once for each cut: begin, be heard for a random while, be interrupted."""
        with self.stream.listen() as events:
            for number in range(CUTS):
                utterance = await self.stream.speak(pieces(tone_file(hz_of(self.number, number))))
                async for event in events:
                    if event.data.get("utterance") == utterance.id and event.data["state"] == "started":
                        break
                await self.hear_more(chance.randrange(16))
                cut = await self.stream.interrupt()
                assert (cut.utterance, list(cut.dropped)) == (utterance.id, [])
                self.played.append(cut.played_samples)

    def tones(self) -> Iterator[tuple[int, int]]:
        """(frequency, samples) of each tone that was heard, in order.

        A single window that differs is where an encoder began anew.
        """
        samples = hear(tracks(self.seen)[0]).samples
        windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::OPUS_SAMPLES]
        runs = [(hz, len(list(run))) for hz, run in groupby(map(dominant, windows))]
        sure = [(hz, count) for hz, count in runs if hz is not None and count > 1]
        for hz, same in groupby(sure, key=itemgetter(0)):
            yield hz, sum(count for _, count in same) * OPUS_SAMPLES

    def colours(self) -> set[tuple[int, int]]:
        """All that were seen."""
        return {chroma_of(seen.picture) for seen in decoded(tracks(self.seen)[1], SIZE)}


def chroma_of(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """The colour of the whole face, to what an encoder leaves of it."""
    height = picture.shape[0] * 2 // 3
    planes = picture[height:].reshape(2, -1)
    return round(float(planes[0].mean()) / 8), round(float(planes[1].mean()) / 8)


def dominant(window: NDArray[np.float32]) -> int | None:
    """The tone of somebody's that makes up a window; None where it is faint, or where a decoder finds its way back."""
    if np.sqrt(np.mean(window**2)) < FAINT:
        return None
    spectrum = np.abs(np.fft.rfft(window * np.hanning(len(window)), 4 * len(window)))
    hz = np.argmax(spectrum) * AUDIO_HZ / (4 * len(window))
    nearest = LOWEST_HZ + STEP_HZ * round((hz - LOWEST_HZ) / STEP_HZ)
    return nearest if abs(hz - nearest) < STEP_HZ / 4 else None


@asynccontextmanager
async def studio(tmp_path, **changes: object) -> AsyncIterator[Registry]:
    """What is on air, with a real worker process."""
    usual = {"cache": tmp_path, "demo_stream": "", "width": SIZE[0], "height": SIZE[1], "max_viewers": STREAMS}
    async with open_registry(Settings(**usual | changes), partial(open_worker, command=FAKE)) as registry:
        await eventually(lambda: bool(registry.avatars), DEADLINE_S)
        yield registry


async def watch(registry: Registry, number: int, group: asyncio.TaskGroup) -> Watching:
    """One stream on air with a viewer who sees and hears it; ``group`` owns the viewer's task."""
    stream = await registry.put_on_air(f"stream-{number}", f"face-{number}", VideoFormat(*SIZE, 10, 200_000))
    seen = Observation()
    made = Watching(number, stream, Observer(seen, Wish()), seen)
    await made.observer.join(Direct(stream))
    group.create_task(made.observer.run())
    await eventually(lambda: bool(seen.audio and seen.video), DEADLINE_S)
    return made


def check_sound(each: Watching) -> None:
    """What was heard of each utterance is no more than what the server says, in order, and nobody else's.

    Some are not heard at all, where a busy machine makes them too late.
    """
    said = [(hz_of(each.number, number), played) for number, played in enumerate(each.played)]
    remaining, heard = iter(said), list(each.tones())
    for hz, samples in heard:
        fits = (wanted == hz and samples <= played + SMEAR for wanted, played in remaining)
        assert any(fits), f"{hz} Hz on stream {each.number} for {samples} samples: another's, over, or too long"
    assert len(heard) > CUTS // 4, f"{len(heard)} utterances heard of {CUTS} on stream {each.number}"


async def test_a_thousand_interruptions_leave_nothing_stale_and_no_stream_in_anothers_place(tmp_path):
    chance = random.Random(5)
    with on_loopback():
        async with studio(tmp_path) as registry, asyncio.TaskGroup() as group:
            watched = [await watch(registry, number, group) for number in range(STREAMS)]
            async with asyncio.TaskGroup() as speaking:
                for each in watched:
                    speaking.create_task(each.speak_and_be_cut_off(random.Random(chance.random())))
            for each in watched:
                await each.hear_more(25)
            for each in watched:
                await each.observer.connection.close()
    played = [samples for each in watched for samples in each.played]
    assert len(played) >= 1000
    assert min(played) > 0
    for each in watched:
        check_sound(each)
        cb, cr = face_chroma(each.number)
        assert each.colours() == {(round(cb / 8), round(cr / 8))}


async def test_those_that_speak_are_heard_whole_while_others_are_refused(tmp_path):
    """And each of the refused speaks as soon as a place is free: none is lost, none is given twice."""
    seconds = 2
    length = seconds * AUDIO_HZ

    async def speak_when_there_is_room(each: Watching) -> int:
        refusals = 0
        while True:
            try:
                with each.stream.listen() as events:
                    spoken = await each.stream.speak(pieces(tone_file(hz_of(each.number, 0), seconds)))
                    speaking.add(each.number)
                    assert len(speaking) <= 2
                    async for event in events:
                        if event.data.get("utterance") == spoken.id and event.data["state"] == "finished":
                            speaking.discard(each.number)
                            return refusals
            except TooManySpeak as error:
                # while a file of two is still coming, nobody knows how long it is
                assert 1 <= int(error.headers["Retry-After"]) <= UNKNOWN_S
                refusals += 1
                await each.hear_more(2)  # comes again sooner than it was told to

    speaking: set[int] = set()
    with on_loopback():
        async with studio(tmp_path, max_speaking=2) as registry, asyncio.TaskGroup() as group:
            watched = [await watch(registry, number, group) for number in range(3)]
            async with asyncio.TaskGroup() as all_three:
                tasks = [all_three.create_task(speak_when_there_is_room(each)) for each in watched]
            refusals = [task.result() for task in tasks]
            for each in watched:
                await each.hear_more(25)
            for each in watched:
                await each.observer.connection.close()
    assert min(refusals[:2]) == 0 and refusals[2] > 10 and registry.ledger.speech_refused == sum(refusals)
    for each in watched:
        ((hz, samples),) = each.tones()
        assert hz == hz_of(each.number, 0)
        assert abs(samples - length) <= SMEAR, f"stream {each.number}: {samples} samples of {length}"
