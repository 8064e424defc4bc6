"""What holds of a stream that was played and interrupted: nothing stale, nothing twice, all there.

Utterances are levels of sound (``PlayedStream``), so that every sample that is heard can be told to whom it belongs.
"""

from typing import NamedTuple

import numpy as np

from avatar.cut import FADE_OUT, PAUSE
from avatar.messages import OPUS_SAMPLES, Interrupted, SpeechFinished, SpeechStarted
from avatar.timeline import FADE_SAMPLES
from tests.played_stream import PlayedStream


class Spoken(NamedTuple):
    """An utterance that was heard. Units: 48 kHz samples on the stream's clock."""

    start: int
    end: int
    whole: bool


def spoken(stream: PlayedStream) -> dict[str, Spoken]:
    """What was told of the utterances: each that was said ends exactly once, and with the count that its place says."""
    starts = {mark.utterance: mark.media_time for mark in stream.valid if isinstance(mark, SpeechStarted)}
    assert len(starts) == sum(isinstance(mark, SpeechStarted) for mark in stream.valid)
    over: dict[str, Spoken] = {}
    dropped = [name for _, answer in stream.cuts for name in answer.dropped]
    for mark in [*stream.valid, *(answer for _, answer in stream.cuts)]:
        if not isinstance(mark, SpeechFinished | Interrupted) or mark.utterance is None:
            continue
        name = mark.utterance
        assert name not in over and name not in dropped
        assert mark.samples == mark.media_time - starts[name]
        over[name] = Spoken(starts[name], mark.media_time, isinstance(mark, SpeechFinished))
    assert over.keys() == starts.keys()
    assert len(set(dropped)) == len(dropped) and {*dropped, *over} == stream.levels.keys()
    return over


def check_sound(stream: PlayedStream, idle: int) -> None:
    """All packets are there once; each sample is of the utterance whose place it is, and between them is silence."""
    times, sound = stream.heard()
    begin = stream.start * stream.frame_samples
    end = -(-idle * stream.frame_samples // OPUS_SAMPLES) * OPUS_SAMPLES
    assert times == list(range(begin, end, OPUS_SAMPLES))
    silent = np.ones(len(sound), bool)
    for name, place in spoken(stream).items():
        mine = slice(place.start - begin, place.end - begin)
        fade = FADE_SAMPLES if place.whole else FADE_OUT
        inside = sound[mine][FADE_SAMPLES:-fade]
        assert np.all(inside == stream.levels[name]), name
        assert np.all((sound[mine] >= 0) & (sound[mine] <= stream.levels[name]))
        assert silent[mine].all(), "one at a time"
        silent[mine] = False
    assert not sound[silent].any()


def check_pictures(stream: PlayedStream, idle: int, *, late: bool) -> None:
    """All frames are there once, but for those that came too late, and begin at keyframes where they were cut."""
    seen = stream.seen()
    frames = [unit.media_time * stream.fps // 90_000 for unit in seen]
    assert frames == sorted(set(frames)) and set(frames) <= set(range(stream.start, idle))
    assert late or len(frames) == idle - stream.start
    for number, (cut, _) in enumerate(stream.cuts):
        again = next((index for index, frame in enumerate(frames) if frame >= cut), None)
        if again is not None and all(cut <= later for later, _ in stream.cuts[number:]):
            assert seen[again].keyframe


def check_mouth(stream: PlayedStream, idle: int) -> None:
    """It falls shut from the cut on, and is shut before anybody else speaks and at the end."""
    for number, (frame, answer) in enumerate(stream.cuts):
        at = answer.media_time - answer.media_time % OPUS_SAMPLES
        silent_until = -(-(at + PAUSE) // stream.frame_samples)
        until = min([idle, silent_until, *(later for later, _ in stream.cuts[number + 1 :])])
        closing = [stream.strength[shown] for shown in range(frame, until)]
        if answer.utterance is not None and closing:
            closing = [stream.strength[frame - 1], *closing]
            assert closing == sorted(closing, reverse=True)
            assert closing[-1] == 0 or until < silent_until
    assert idle == stream.start or stream.strength[idle - 1] == 0
