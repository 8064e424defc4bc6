"""Chunk files: where they are, what is in their boxes, and that each is played by itself."""

import asyncio
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import av
import httpx
import pytest

from tests.contract.box_reader import Movie, read_movie
from tests.contract.event_wire import assert_utterance
from tests.contract.field_types import assert_refused
from tests.contract.original_client import Client, Target
from tests.contract.short_speech import spoken

SECONDS: Final = 2.3
FPS: Final = 15
FRAMES: Final = [15, 15, 4]
"""Of speech so long, in chunks of 1 s: what is left of a picture at the end is not shown."""
AAC_FRAME_S: Final = 1024 / 44_100
AAC_LC: Final = 2
BASELINE: Final = 66
CONSTRAINED: Final = 0x40
"""constraint_set1_flag."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An utterance as a client gets it."""

    chunks: list[dict[str, Any]]
    """The events."""
    files: list[httpx.Response]
    movies: list[Movie]


async def record(target: Target, content: bytes, **query: str | float) -> Recorded:
    async with httpx.AsyncClient(base_url=target.base, timeout=target.patience_s, trust_env=False) as http:
        client = Client(http, target)
        async with client.session(**query) as session_id:
            request_id, listener = await client.utterance(session_id, content)
            chunks = assert_utterance(listener.events, request_id)
            files = [await http.get(chunk["url"]) for chunk in chunks]
    assert {answer.status_code for answer in files} == {200}
    return Recorded(chunks, files, [read_movie(answer.content) for answer in files])


@pytest.fixture(scope="module")
def recorded(target: Target) -> Iterator[Recorded]:
    """Speech in chunks of a second."""
    yield asyncio.run(record(target, spoken(SECONDS), fps=FPS, chunk_duration=1))


def pictures(content: bytes) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(content)) as file:
        return list(file.decode(video=0))


def sound(content: bytes) -> list[av.AudioFrame]:
    with av.open(io.BytesIO(content)) as file:
        return list(file.decode(audio=0))


def test_the_head_of_a_chunk(recorded):
    for answer in recorded.files:
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-disposition"].startswith("inline")
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert int(answer.headers["content-length"]) == len(answer.content) > 1024


def test_a_chunk_initialises_itself_and_is_fragmented(recorded):
    for movie in recorded.movies:
        assert movie.order[:2] == ["ftyp", "moov"]
        rest = [kind for kind in movie.order[2:] if kind in ("moof", "mdat")]
        assert rest and rest == ["moof", "mdat"] * (len(rest) // 2)
        assert sorted(movie.kinds.values()) == ["soun", "vide"] and movie.extends == set(movie.kinds)
        assert all(run.default_base_is_moof for run in movie.runs)


def test_old_players_know_the_codecs(recorded):
    """They declare avc1.42E01E and mp4a.40.2 without looking."""
    for movie in recorded.movies:
        picture, voice = movie.codec("vide"), movie.codec("soun")
        assert picture.name == "avc1" and picture.profile == BASELINE and picture.constraints & CONSTRAINED
        assert voice.for_players() == "mp4a.40.2" and voice.profile == AAC_LC
        assert voice.rate_hz in (44_100, 48_000) and voice.channels in (1, 2)
    assert len({movie.codec("vide") for movie in recorded.movies}) == 1
    assert len({movie.codec("soun") for movie in recorded.movies}) == 1


def test_the_time_of_every_chunk_begins_at_zero(recorded):
    for answer, movie in zip(recorded.files, recorded.movies, strict=True):
        assert movie.start("vide") == movie.start("soun") == 0
        assert abs(pictures(answer.content)[0].time) < 2 * AAC_FRAME_S
        assert abs(sound(answer.content)[0].time) < 2 * AAC_FRAME_S


def test_pictures_are_as_many_and_as_long_as_was_said(recorded):
    for chunk, answer, movie, count in zip(recorded.chunks, recorded.files, recorded.movies, FRAMES, strict=True):
        assert chunk["duration"] == count / FPS
        shown_s = movie.durations_s("vide")
        assert len(shown_s) == len(pictures(answer.content)) == count
        assert shown_s[1:-1] == pytest.approx([1 / FPS] * (count - 2), abs=1e-3)
        for edge_s in (shown_s[0], shown_s[-1]):  # the original's first waits for its sound, our last does
            assert 1 / FPS - 1e-3 <= edge_s <= 1 / FPS + 2 * AAC_FRAME_S


def test_sound_lasts_as_long_as_the_pictures(recorded):
    for movie, count in zip(recorded.movies, FRAMES, strict=True):
        assert sum(movie.durations_s("soun")) == pytest.approx(count / FPS, abs=2 * AAC_FRAME_S)


def test_every_chunk_is_decoded_by_itself(recorded, target):
    sizes = set()
    for answer in recorded.files:
        shown = pictures(answer.content)
        assert shown[0].key_frame
        sizes.add((shown[0].width, shown[0].height))
        assert sum(frame.samples for frame in sound(answer.content)) > 0
    assert sizes == {recorded.movies[0].codec("vide").size}
    assert all(length % 2 == 0 for size in sizes for length in size)


def test_there_is_speech_in_the_sound(recorded):
    loudest = max(abs(frame.to_ndarray()).max() for frame in sound(recorded.files[0].content))
    assert loudest > 0.05  # of samples in [-1, 1]


@pytest.mark.parametrize(("fps", "seconds"), [(10, 0.75), (20, 0.72), (25, 2.22), (15, 0.3)])
def test_speech_at_other_rates(target, fps, seconds):
    recorded = asyncio.run(record(target, spoken(seconds), fps=fps))
    total, whole = int(seconds * fps), 2 * fps
    assert len(recorded.chunks) == math.ceil(total / whole)
    counts = [min(whole, total - begin) for begin in range(0, total, whole)]
    assert [chunk["duration"] for chunk in recorded.chunks] == [count / fps for count in counts]
    assert [len(movie.durations_s("vide")) for movie in recorded.movies] == counts


@pytest.mark.improvement
def test_chunks_of_half_a_second(target):
    recorded = asyncio.run(record(target, spoken(1.2), chunk_duration=0.5))
    assert [len(movie.durations_s("vide")) for movie in recorded.movies] == [7, 7, 4]
    assert [chunk["duration"] for chunk in recorded.chunks] == [7 / 15, 7 / 15, 4 / 15]


async def test_chunks_that_are_not_there(http, recorded):
    request_id = recorded.chunks[0]["url"].split("/")[2]
    assert_refused(await http.get(f"/chunks/{request_id}/chunk_9999.mp4"), 404)
    assert_refused(await http.get("/chunks/nobody_req_01234567/chunk_0000.mp4"), 404)


@pytest.mark.parametrize("name", ["chunk_0.mp4", "chunk_00000.mp4x", "chunk_0000.ts", "notes.txt", "chunk_abcd.mp4"])
async def test_names_that_no_chunk_has(http, recorded, name):
    request_id = recorded.chunks[0]["url"].split("/")[2]
    assert_refused(await http.get(f"/chunks/{request_id}/{name}"), 400)


@pytest.mark.parametrize("request_id", ["nobody", "nobody_req_xyz", "a b_req_01234567"])
async def test_ids_that_no_request_has(http, request_id):
    assert_refused(await http.get(f"/chunks/{request_id}/chunk_0000.mp4"), 400)


@pytest.mark.improvement
async def test_ids_of_avatars_with_capitals_hyphens_and_dots(http):
    assert_refused(await http.get("/chunks/Avatar-5a58.v2_req_01234567/chunk_0000.mp4"), 404)
