"""Chunks on their way to one reader: in order, to the end or the reason, and never without bound."""

import asyncio

import pytest

from avatar.messages import SpeechChunk
from whep_server.errors import NotSpeech, Unavailable
from whep_server.live.speech_recording import MAX_UNREAD_BYTES, Recording


def chunk(index: int, data: bytes = b"mp4") -> SpeechChunk:
    return SpeechChunk("demo", "u", index, 3, 50, 0.1, data)


def recording() -> tuple[Recording, list[tuple[int, bool]]]:
    """And what was told of it: bytes that are not read, and whether it has ended."""
    told: list[tuple[int, bool]] = []
    return Recording("u", lambda about: told.append((about.unread_bytes, about.ended))), told


async def test_chunks_come_in_order_and_then_the_end():
    made, told = recording()
    for index in range(3):
        made.put(chunk(index))
    made.finish()
    made.finish(NotSpeech("only the first call counts"))
    made.put(chunk(9))
    assert [each.index async for each in made] == [0, 1, 2]
    assert made.made_frames == 150
    assert told == [(3, False), (6, False), (9, False), (9, True), (6, True), (3, True), (0, True)]


async def test_the_reason_comes_after_the_chunks_that_were_made():
    made, _ = recording()
    made.put(chunk(0))
    made.finish(NotSpeech("it broke off"))
    assert (await anext(made)).index == 0
    for _ in range(2):
        with pytest.raises(NotSpeech, match="it broke off"):
            await anext(made)


async def test_a_reader_that_waits_is_woken_by_the_end():
    made, _ = recording()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(made, None))  # type: ignore[arg-type]  # typeshed wants a coroutine
        await asyncio.sleep(0)
        made.finish()
    assert waiting.result() is None


async def test_a_closed_one_holds_nothing():
    made, told = recording()
    made.put(chunk(0))
    made.close()
    made.close()
    made.put(chunk(1))
    assert made.closed and made.ended and made.unread_bytes == 0
    assert told == [(3, False), (0, True)]
    assert [each async for each in made] == []


async def test_one_that_nobody_reads_fails_and_holds_nothing():
    half = bytes(MAX_UNREAD_BYTES // 2)
    made, _ = recording()
    made.put(chunk(0, half))
    made.put(chunk(1, half))
    assert made.unread_bytes == MAX_UNREAD_BYTES
    made.put(chunk(2))
    assert made.unread_bytes == 0 and made.ended
    with pytest.raises(Unavailable, match="not taken"):
        await anext(made)


async def test_a_single_chunk_may_be_larger_than_the_bound():
    made, _ = recording()
    made.put(chunk(0, bytes(MAX_UNREAD_BYTES + 1)))
    assert (await anext(made)).index == 0
