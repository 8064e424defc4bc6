"""Real aiortc players over loopback, on a stream whose worker is a fake with real pictures and sound."""

import asyncio

import pytest

from tests.aiortc_player import Player, eventually, player
from tests.fakes import LOOP_S, speech
from whep_server.live.stream import Stream, StreamState


async def demo_of(registry) -> Stream:
    await eventually(lambda: registry.ready)
    return registry.stream("demo")


async def once(data: bytes):
    yield data


def steps(values: list[int], modulo: int) -> set[int]:
    return {(after - before) % modulo for before, after in zip(values, values[1:], strict=False)}


def check_packets(watching: Player, fps: int = 25) -> None:
    """No sequence number is missing, and times go on frame by frame and packet by packet."""
    for kind, step in (("video", 90_000 // fps), ("audio", 960)):
        packets = watching.packets[kind]
        assert steps([packet.sequence for packet in packets], 1 << 16) <= {1}
        pictures = [packet.time for packet in packets if packet.marker]
        assert steps(pictures, 1 << 32) <= {step}


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_an_idle_stream_plays_pictures_and_silence(on_air, codec):
    async with on_air() as (registry, _), player(codec=codec) as watching:
        await watching.watch(await demo_of(registry))
        await watching.until(lambda: len(watching.pictures) > 30 and watching.sounds > 60)
        assert not any(seen.live for seen in watching.pictures)
        assert steps(watching.shown, LOOP_S * 25) == {1}
        check_packets(watching)
