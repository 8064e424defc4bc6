"""A worker that has more to draw than it can: fewer pictures, all of them in time, of a face that speaks."""

import asyncio

from avatar.messages import VideoFormat
from bench.decoding import pictures
from bench.observations import Observation, tracks
from bench.observer import Observer, Wish, on_loopback
from tests.aiortc_player import eventually
from tests.fake_engine import BOX, FPS, SIZE
from tests.integration.test_many_streams import DEADLINE_S, Direct, pieces, studio, tone_file
from whep_server.live.stream import Stream

OPEN = 60
"""Luma of a mouth that is open: silence is black, the tone 90."""
BEHIND_PACKETS = 50
"""Of sound, 20 ms each, after which the worker is behind."""
SECONDS = 4


async def watch(stream: Stream, group: asyncio.TaskGroup) -> tuple[Observer, Observation]:
    seen = Observation()
    viewer = Observer(seen, Wish())
    await viewer.join(Direct(stream))
    group.create_task(viewer.run())
    await eventually(lambda: bool(seen.audio and seen.video), DEADLINE_S)
    return viewer, seen


def spoken(seen: Observation) -> int:
    """Pictures of a mouth that is open."""
    x, y, width, height = BOX
    mouths = (each.picture[y : y + height, x : x + width].mean() for each in pictures(tracks(seen)[1], SIZE))
    return sum(mouth > OPEN for mouth in mouths)


async def test_who_was_shown_the_idle_face_sees_it_speak_though_each_picture_takes_too_long(tmp_path):
    with on_loopback():
        async with studio(tmp_path) as registry, asyncio.TaskGroup() as group:
            stream = await registry.put_on_air("slow", "slow", VideoFormat(*SIZE, FPS, 200_000))
            first, seen = await watch(stream, group)
            with stream.listen() as events:
                await stream.speak(pieces(tone_file(440, SECONDS)))
                heard = len(seen.audio)
                await eventually(lambda: len(seen.audio) > heard + BEHIND_PACKETS, DEADLINE_S)
                late, seen_late = await watch(stream, group)  # with the idle loop, as all who come
                async for event in events:
                    if event.data.get("state") == "finished":
                        break
            await first.connection.close()
            await late.connection.close()
    assert spoken(seen) < SECONDS * FPS * 4 / 5, "it is behind: a picture takes longer than it is shown"
    assert spoken(seen_late) > FPS // 2
