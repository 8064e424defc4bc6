"""The pose of idle pictures: what was settled, and during a stretch what it goes to."""

from avatar.messages import IDLE_PHASES, NEUTRAL_POSE, Codec, Encoding
from tests.unit.test_idle import FPS, loop
from whep_server.live.idle import IdleLoops
from whep_server.live.posing import TURN_S, Posing

TURN = round(TURN_S * FPS)


def posing(*poses: str) -> Posing:
    """One with idle loops of these poses."""
    loops = IdleLoops()
    for codec in (Codec.H264, Codec.VP8):
        loops.want(Encoding(codec))
        for pose in poses:
            for phase in range(IDLE_PHASES):
                loops.add(loop(phase, codec, pose=pose))
    return Posing(FPS, loops)


def test_it_holds_from_the_frame_at_which_it_is_settled():
    made = posing()
    made.settle(50, "listening")
    made.settle(90, "nodding")
    assert [made.at(frame, live=False) for frame in (0, 49, 50, 89, 90)] == [
        NEUTRAL_POSE,
        NEUTRAL_POSE,
        "listening",
        "listening",
        "nodding",
    ]
    assert made.shown == "nodding"


def test_what_was_told_of_later_frames_does_not_hold():
    made = posing()
    made.settle(50, "listening")
    made.settle(40, NEUTRAL_POSE)
    assert made.at(60, live=False) == NEUTRAL_POSE


def test_who_comes_in_a_stretch_is_shown_the_pose_that_it_has_gone_over_to():
    made = posing("listening")
    made.want("listening", 20)
    made.begin(30)
    assert made.at(30 + TURN - 1, live=True) == NEUTRAL_POSE, "it may be on its way"
    assert made.at(30 + TURN, live=True) == "listening"
    assert made.at(30 + TURN, live=False) == NEUTRAL_POSE


def test_a_pose_without_a_loop_is_not_shown():
    made = posing()
    made.want("listening", 0)
    assert not made.ready and made.at(1000, live=True) == NEUTRAL_POSE
    made.want(NEUTRAL_POSE, 0)
    assert made.ready
