"""What a viewer sees where idle becomes speech and speech becomes idle: nothing that it does not see all the time."""

from itertools import pairwise

import numpy as np
import pytest

from tests.clients.event_log import listening, speak
from tests.clients.picture_steps import FRAME_TICKS, Aligned, Reference
from tests.clients.recording_viewer import Track, Viewer, watching
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

LOOP_PICTURES = 200
ROUNDS = 3
OPUS_TICKS = 960
MARGIN = 3.0
"""Units: steps of luma, of 255, in the mean of a 16x16 block. Two codings of one idle loop differ by up to 1.4."""
MARGIN_OF_ALL = 0.1
"""The same in the mean of the whole picture."""


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
    """Media time from each picture or sound packet to the next. Units: ticks of the track's clock."""
    return [later - earlier for earlier, later in pairwise(track.times())]


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
    idle = [outside for position, (outside, _) in steps.items() if position < sent]
    after = [outside for position, (outside, _) in steps.items() if position >= sent]
    assert max(step.mean for step in after) <= max(step.mean for step in idle) + MARGIN_OF_ALL
    assert max(step.block for step in after) <= max(step.block for step in idle) + MARGIN

    # finer: no block anywhere steps further than it does at the same place of the idle loop, where it may be blinking
    usual = {aligned.index(position): outside for position, (outside, _) in steps.items() if position < sent}
    for position in range(sent, len(viewer.pictures)):
        assert steps[position][0].block <= usual[aligned.index(position)].block + MARGIN, position

    # the switches themselves: the keyframes on either side of what was seen to speak
    keyframes = [
        position for position, one in enumerate(viewer.pictures) if one.rtp_time in viewer.video.keyframe_times()
    ]
    into = max(position for position in keyframes if position <= first)
    back = min(position for position in keyframes if position > last)
    spoken = [inside for position, (_, inside) in steps.items() if into < position < back]
    for position in (into, back):
        assert steps[position][1].mean <= max(step.mean for step in spoken)
        assert steps[position][1].block <= max(step.block for step in spoken)
