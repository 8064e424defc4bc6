"""What a viewer sees where idle becomes speech and speech becomes idle: nothing that it does not see all the time."""

from itertools import pairwise

import numpy as np
import pytest

from tests.clients.event_log import listening, speak
from tests.clients.picture_steps import FRAME_TICKS, Aligned, Reference
from tests.clients.recording_viewer import Track, Viewer, watching
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence
from tests.greeting import without_greeting

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

LOOP_PICTURES = 200
ROUNDS = 3
OPUS_TICKS = 960
MARGIN_OF_BLOCK, MARGIN_OF_ALL = 1.0, 0.05
"""Units: steps of luma, of 255. What chance adds to the largest of some hundred pictures: measured, a third of it."""
MARGIN_OF_BLINK = 3.0
"""The same where a block moves by a hundred: two codings of one idle loop differ by up to 1.7 there."""


async def recorded(server: Server) -> tuple[Viewer, int]:
    """A whole idle loop, a sentence, idle again; and the first picture's number after the sentence was sent."""
    async with listening(server.base) as events, watching(server.whep()) as viewer:
        await events.wait_idle(30)
        await viewer.wait_pictures(LOOP_PICTURES + 25)
        sent = len(viewer.pictures)
        utterance = await speak(server.base, sentence(longest_s=4).wav)
        await events.wait(60, "speech", state="finished", utterance=utterance)
        await events.wait_idle(10)
        await viewer.wait_pictures(75)
    return viewer, sent


async def recorded_whole(server: Server) -> tuple[Viewer, int]:
    """The same with no picture left out, which the worker does where the machine is busy; else the last attempt."""
    for _ in range(ROUNDS):
        viewer, sent = await recorded(server)
        if set(steps_between(viewer.video)) == {FRAME_TICKS}:
            break
    return viewer, sent


def steps_between(track: Track) -> list[int]:
    """Media time from each picture, after the greeting, or sound packet to the next. Units: ticks of its clock."""
    return [later - earlier for earlier, later in pairwise(without_greeting(track.times()))]


async def test_no_step_at_the_switches(server: Server):
    viewer, sent = await recorded_whole(server)

    # one pair of tracks: no packet missing, no media time left out or told twice
    assert viewer.video.lost() == viewer.audio.lost() == 0
    assert set(steps_between(viewer.video)) == {FRAME_TICKS}
    assert set(steps_between(viewer.audio)) == {OPUS_TICKS}

    aligned = Aligned(Reference(), viewer.pictures)
    mouth = np.array([aligned.from_idle(position) for position in range(len(viewer.pictures))])
    speaking = np.flatnonzero(mouth > 1.5 * mouth[:sent].max())
    first, last = int(speaking[0]), int(speaking[-1])
    assert sent <= first and last - first > 25

    steps = {position: aligned.steps(position) for position in range(1, len(viewer.pictures))}
    idle, after = range(1, sent), range(sent, len(viewer.pictures))

    # the avatar moves and blinks of itself; beyond that no step is larger than those between idle pictures
    for part, margin in (("mean", MARGIN_OF_ALL), ("block", MARGIN_OF_BLOCK)):
        usual = max(getattr(steps[position].unexplained, part) for position in idle)
        assert max(getattr(steps[position].unexplained, part) for position in after) <= usual + margin

    # and no block steps further than it does at the same place of the idle loop
    same_place = {aligned.index(position): steps[position].body for position in idle}
    for position in after:
        assert steps[position].body.block <= same_place[aligned.index(position)].block + MARGIN_OF_BLINK, position

    # the switches themselves: the keyframes on either side of what was seen to speak
    keyframes = [
        position for position, one in enumerate(viewer.pictures) if one.rtp_time in viewer.video.keyframe_times()
    ]
    into = max(position for position in keyframes if position <= first)
    back = min(position for position in keyframes if position > last)
    spoken = [steps[position].mouth for position in range(into + 1, back)]
    for position in (into, back):
        assert steps[position].mouth.mean <= max(step.mean for step in spoken)
        assert steps[position].mouth.block <= max(step.block for step in spoken)
        usual = max(steps[each].face.block for each in idle)
        assert steps[position].face.block <= usual + MARGIN_OF_BLINK, "no accent is cut off, or begins in the middle"
