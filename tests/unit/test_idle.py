"""The idle loop in its phases."""

import gc

import pytest

from avatar.messages import IDLE_PHASES, NEUTRAL_POSE, Codec, Encoding, IdleLoop, VideoFormat, idle_grid
from whep_server.live.idle import VIDEO_CODECS, IdleLoops, IdlePhase

FPS = 25
SPS = b"\x00\x00\x00\x01\x67\x42\xe0\x1f"
SMALL_SPS = b"\x00\x00\x00\x01\x67\x42\xe0\x1e"
VP8, SMALL = Encoding(Codec.VP8), Encoding(Codec.VP8, 2)


def loop(phase: int, codec: Codec = Codec.VP8, rendition: int = 0, pose: str = NEUTRAL_POSE) -> IdleLoop:
    """A loop of two seconds whose units say which loop frame they are, and the pose's first letter."""
    first = phase * idle_grid(FPS)
    units = [bytes([(first + at) % (2 * FPS)]) + pose[:1].encode() for at in range(2 * FPS)]
    if codec is Codec.H264:
        units = [(SMALL_SPS if rendition else SPS) + unit for unit in units]
    return IdleLoop("nova", VideoFormat(), codec, phase, FPS, first, units, b"silence", rendition, pose)


def full() -> IdleLoops:
    loops = IdleLoops()
    for phase in range(IDLE_PHASES):
        loops.add(loop(phase))
    return loops


@pytest.mark.parametrize("frame", range(0, 200, idle_grid(FPS)))
def test_some_phase_has_a_keyframe_every_200_ms(frame):
    phase = full().phase_at(VP8, frame)
    assert phase is not None
    assert phase.unit(frame, 0).keyframe
    assert not phase.unit(frame + 1, 0).keyframe


def test_every_phase_shows_the_same_loop_frame():
    loops = full()
    phases = [loops.phase_at(VP8, at * idle_grid(FPS)) for at in range(IDLE_PHASES)]
    for frame in (0, 7, 49, 50, 1234567):
        assert {phase.unit(frame, 0).payloads[0][1] for phase in phases} == {frame % (2 * FPS)}


def test_a_unit_is_cut_once():
    phase = full().phase_at(VP8, 0)
    assert phase.unit(0, 0).payloads is phase.unit(50, 9).payloads


def kept_bytes(root: object) -> int:
    """Of all byte strings that are kept by an object."""
    found, known = [root], {id(root)}
    for each in found:
        further = [one for one in gc.get_referents(each) if not isinstance(one, type) and id(one) not in known]
        known |= {id(one) for one in further}
        found += further
    return sum(len(each) for each in found if isinstance(each, bytes))


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_a_loop_that_was_watched_to_its_end_takes_no_more_memory_than_before(codec):
    units = [bytes([0, 0, 0, 1, 0x65, at]) + 3000 * b"U" for at in range(2 * FPS)]
    phase = IdlePhase(IdleLoop("nova", VideoFormat(), codec, 0, FPS, 0, units, b"silence"))
    before = kept_bytes(phase)
    for frame in range(2 * FPS):
        phase.unit(frame, 0)
    assert sum(map(len, units)) < kept_bytes(phase) < 1.01 * before


def test_phases_come_one_by_one():
    loops = IdleLoops()
    assert loops.codecs == []
    loops.add(loop(0))
    assert loops.codecs == [Codec.VP8]
    assert not loops.complete(VP8)
    assert loops.phase_at(VP8, 5) is None
    assert loops.phase_at(VP8, 25) is not None
    kept = loops.phase_at(VP8, 0)
    loops.add(loop(0))
    assert loops.phase_at(VP8, 0) is kept
    assert full().complete(VP8)


def test_the_level_is_what_the_full_pictures_say():
    loops = IdleLoops()
    loops.add(loop(0))
    loops.add(loop(0, Codec.H264, rendition=2))
    assert loops.level_idc is None
    loops.add(loop(0, Codec.H264))
    assert loops.level_idc == 0x1F
    assert loops.silence == b"silence"


def test_a_loop_is_asked_for_once_and_again_of_a_new_worker():
    asked: list[Encoding] = []
    loops = IdleLoops(lambda encoding, _: asked.append(encoding))
    for _ in range(2):
        loops.want(VP8)
        loops.want(SMALL)
    assert asked == [VP8, SMALL]
    for phase in range(IDLE_PHASES):
        loops.add(loop(phase))
    loops.add(loop(0, rendition=2))
    loops.want_again()
    assert asked == [VP8, SMALL, SMALL]


def test_a_pose_is_asked_for_when_it_is_first_taken_and_in_what_comes_later():
    asked: list[tuple[Encoding, str]] = []
    loops = IdleLoops(lambda encoding, pose: asked.append((encoding, pose)))
    loops.want(VP8)
    loops.want(Encoding(Codec.H264))
    for _ in range(2):
        loops.want_pose("nodding")
    assert asked[2:] == [(VP8, "nodding"), (Encoding(Codec.H264), "nodding")]
    loops.want(SMALL)
    assert asked[4:] == [(SMALL, NEUTRAL_POSE), (SMALL, "nodding")]
    for codec in (Codec.VP8, Codec.H264):
        for phase in range(IDLE_PHASES):
            assert not loops.has_pose("nodding")
            loops.add(loop(phase, codec, pose="nodding"))
    assert loops.has_pose("nodding"), "in each codec; a smaller rendition may come later"
    assert not loops.has_pose("listening") and not loops.has_pose(NEUTRAL_POSE)


def test_a_pose_that_could_not_be_made_is_asked_for_anew():
    asked: list[str] = []
    loops = IdleLoops(lambda _, pose: asked.append(pose))
    loops.want(VP8)
    loops.want_pose("nodding")
    loops.drop_pose("nodding")
    loops.want_pose("nodding")
    assert asked == [NEUTRAL_POSE, "nodding", "nodding"]


def test_what_is_there_of_the_neutral_pose_is_kept_when_the_rest_cannot_be_made():
    loops = IdleLoops()
    loops.want(VP8)
    loops.want(SMALL)
    loops.add(loop(0))
    loops.drop_pose(NEUTRAL_POSE)
    assert loops.codecs == [Codec.VP8]


def test_the_nearest_rendition_is_shown_until_the_wanted_one_is_whole():
    loops = IdleLoops()
    assert loops.nearest(SMALL) == SMALL
    loops.add(loop(0))
    assert loops.nearest(SMALL) == VP8, "one that is not whole is better than none"
    for phase in range(IDLE_PHASES):
        loops.add(loop(phase, rendition=1))
    assert loops.nearest(SMALL) == Encoding(Codec.VP8, 1) == loops.nearest(VP8)
    for phase in range(IDLE_PHASES):
        loops.add(loop(phase, rendition=2))
        assert (loops.nearest(SMALL) == SMALL) == (phase == IDLE_PHASES - 1)
    assert loops.nearest(Encoding(Codec.H264, 2)) == Encoding(Codec.H264, 2)
    assert loops.codecs == [Codec.VP8]
