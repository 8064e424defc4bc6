"""A figure asked to take a pose: the stretch in which it does, and who is told, with a worker that acts on demand."""

from collections.abc import Iterator

import pytest

from avatar.messages import IDLE_PHASES, NEUTRAL_POSE, Codec, GoLive, SetPose
from tests.stepped_stream import FPS, SteppedStream
from tests.unit.test_idle import loop
from whep_server.errors import Conflict, NoSuchPose
from whep_server.live.stream import StreamState


@pytest.fixture
def stepped() -> Iterator[SteppedStream]:
    stream = SteppedStream()
    for _ in range(2 * FPS):
        stream.step(1 / FPS)
    yield stream
    stream.close()


def pass_time(stepped: SteppedStream, seconds: float) -> None:
    for _ in range(round(seconds * FPS)):
        stepped.step(1 / FPS)


def make_loops(stepped: SteppedStream, pose: str) -> None:
    """The worker has made the idle loop of a pose."""

    def arrive() -> None:
        for codec in (Codec.H264, Codec.VP8):
            for phase in range(IDLE_PHASES):
                stepped.loops.add(loop(phase, codec, pose=pose))
        stepped.stream.idle_loop_grew()

    stepped.call(arrive)


def take(stepped: SteppedStream, pose: str) -> None:
    stepped.call(lambda: stepped.stream.figure.take(pose))


def orders(stepped: SteppedStream, kind: type) -> list[object]:
    return [message for message in stepped.worker.sent if isinstance(message, kind)]


def poses_shown(stepped: SteppedStream, first: int = 0) -> str:
    """The first letter of each idle picture's pose, L for a live one."""
    units = [unit.payloads[0][1:] for unit in stepped.pictures[first:]]
    return "".join("L" if data.startswith(b"L") else data[1:2].decode() for data in units)


def told(stepped: SteppedStream, kind: str) -> list[object]:
    return [event.data[kind] for event in stepped.events if event.kind == kind]


def test_the_first_time_it_is_drawn_live_until_there_is_a_loop(stepped: SteppedStream):
    seen = len(stepped.pictures)
    take(stepped, "listening")
    pass_time(stepped, 4)
    assert orders(stepped, SetPose) == [SetPose("demo", "listening", rests=False)]
    assert [order.pose for order in orders(stepped, GoLive)] == [NEUTRAL_POSE]
    assert poses_shown(stepped, seen).strip("n") == (4 * FPS - len(poses_shown(stepped, seen).rstrip("L"))) * "L"
    assert stepped.stream.state is StreamState.IDLE and not stepped.stream.talks, "it says nothing"
    assert stepped.stream.owed == 0
    make_loops(stepped, "listening")
    pass_time(stepped, 2)
    assert orders(stepped, SetPose)[1:] == [SetPose("demo", "listening", rests=True)]
    assert poses_shown(stepped, seen).rstrip("l").endswith("L"), "and from then on its idle loop is shown"
    assert poses_shown(stepped)[-10:] == 10 * "l"
    assert stepped.stream.figure.pose == "listening" and told(stepped, "pose") == []
    assert stepped.ledger.poses == {"listening": 1}


def test_the_next_time_it_takes_one_stretch(stepped: SteppedStream):
    make_loops(stepped, "nodding")
    seen = len(stepped.pictures)
    take(stepped, "nodding")
    pass_time(stepped, 2)
    shown = poses_shown(stepped, seen)
    assert shown.strip("n").strip("L") == "" or shown.lstrip("n").lstrip("L").strip("n") == ""
    assert len(orders(stepped, GoLive)) == 1
    take(stepped, NEUTRAL_POSE)
    pass_time(stepped, 2)
    assert [order.pose for order in orders(stepped, GoLive)] == [NEUTRAL_POSE, "nodding"]
    assert len(stepped.pictures) >= 6 * FPS - 1, "nobody waited for anything"


def test_under_speech_it_goes_over_in_the_stretch_that_is_on(stepped: SteppedStream):
    stepped.speak(2 * FPS)
    pass_time(stepped, 1)
    take(stepped, "listening")
    assert stepped.stream.state is StreamState.SPEAKING
    pass_time(stepped, 4)
    assert len(orders(stepped, GoLive)) == 1
    assert stepped.stream.state is StreamState.IDLE, "the speech is over, though it is drawn live still"
    assert poses_shown(stepped)[-1] == "L"
    make_loops(stepped, "listening")
    pass_time(stepped, 1)
    assert poses_shown(stepped)[-1] == "l"


def test_speech_begins_in_a_stretch_in_which_nothing_was_said(stepped: SteppedStream):
    take(stepped, "listening")
    pass_time(stepped, 1)
    stepped.speak(FPS)
    pass_time(stepped, 0.5)
    assert stepped.stream.state is StreamState.SPEAKING
    assert len(orders(stepped, GoLive)) == 1
    pass_time(stepped, 3)
    assert stepped.stream.state is StreamState.IDLE


def test_a_lost_worker_costs_the_pose_and_the_next_one_takes_it(stepped: SteppedStream):
    take(stepped, "listening")
    pass_time(stepped, 1)
    stepped.call(stepped.worker.die)
    pass_time(stepped, 1)
    assert poses_shown(stepped)[-5:] == 5 * "n"
    stepped.call(stepped.worker.start)
    make_loops(stepped, "listening")
    pass_time(stepped, 3)
    assert orders(stepped, SetPose)[-1] == SetPose("demo", "listening", rests=True)
    assert poses_shown(stepped)[-5:] == 5 * "l"


def test_a_pose_that_cannot_be_made_is_given_up(stepped: SteppedStream):
    take(stepped, "listening")
    pass_time(stepped, 1)
    stepped.call(lambda: stepped.stream.figure.loop_failed("listening"))
    pass_time(stepped, 2)
    assert stepped.stream.figure.pose == NEUTRAL_POSE
    assert poses_shown(stepped)[-5:] == 5 * "n" and stepped.stream.state is StreamState.IDLE


def test_unwatched_it_changes_unseen_when_the_loop_is_there():
    stepped = SteppedStream()
    try:
        stepped.call(stepped.stream._audience._viewers.clear)
        take(stepped, "listening")
        pass_time(stepped, 1)
        assert orders(stepped, GoLive) == []
        make_loops(stepped, "listening")
        pass_time(stepped, 1)
        assert orders(stepped, GoLive) == []
        stepped.call(stepped._watch)
        pass_time(stepped, 1)
        assert set(poses_shown(stepped)[-20:]) == {"l"} and orders(stepped, GoLive) == []
    finally:
        stepped.close()


def test_what_it_cannot_take_is_refused(stepped: SteppedStream):
    with pytest.raises(NoSuchPose, match="dancing"):
        take(stepped, "dancing")
    stepped.stream.figure.poses = (NEUTRAL_POSE,)
    with pytest.raises(Conflict, match="cannot be moved"):
        take(stepped, "nodding")
    take(stepped, NEUTRAL_POSE)
    assert orders(stepped, SetPose) == [] and stepped.ledger.poses == {}
