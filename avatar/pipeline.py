"""One stream on air: its timeline, its engine slot and its encoders, from granted frames to encoded units.

A live stretch is planned by the render thread (``prepare``: samples pushed, jobs for the engine) and finished by any
one thread (``finish``: composed, encoded, sent), stretch after stretch on one clock. The render thread sends the sound,
also while others finish: it is soonest missed and soonest made.
"""

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.cadence import Cadence
from avatar.cut import Cut
from avatar.deadlines import Deadlines
from avatar.decode import RATIO
from avatar.encoders import RECORDED, Encoders, Meter
from avatar.engines.engine import Drawing, Engine, FrameJob, Patch
from avatar.mark_messages import message_of
from avatar.messages import (
    AUDIO_HZ,
    NEUTRAL_POSE,
    OPUS_SAMPLES,
    VIDEO_HZ,
    Encoding,
    Interrupt,
    Interrupted,
    OpenStream,
    RecordSpeech,
    SetPose,
    SpeechFinished,
    Unit,
    WentIdle,
    idle_grid,
    start_grid,
)
from avatar.outbox import Send
from avatar.poses import PoseTrack, poses_of
from avatar.prepared import PreparedAvatar
from avatar.recordings import Recordings
from avatar.scheduler import Demand, Turn
from avatar.soundtrack import Soundtrack
from avatar.timeline import Block, Ease, Mark, Source, Started, Stays, Timeline

BEGIN_S: Final = 0.5
"""An utterance is not begun longer before its time: more than the server is ever ahead of what is not recorded."""

Compose = Callable[[NDArray[np.uint8], Patch, NDArray[np.uint8]], object]


@dataclass(slots=True)
class Prepared:
    """A turn that the engine can make. Shapes: one job a frame."""

    first: int
    jobs: list[FrameJob]
    shown: list[bool]
    """Whether a frame is sent at all; one that is sent and not drawn is the last one again."""
    idle_frame: int | None
    """Where the stretch ends, after these frames."""
    marks: list[Mark]
    """Of blocks that are then never to be played."""


class Pipeline:
    """One stream."""

    def __init__(self, opened: OpenStream, avatar: PreparedAvatar, engine: Engine, stall_s: float) -> None:
        self.name, self.avatar, self.format = opened.stream, avatar, opened.format
        self.slot = engine.open(avatar, self.format.fps)
        self.timeline = Timeline(stall_s)
        self.live = False
        self.epoch = 0
        self.engine, self.deadlines = engine, Deadlines(self.format.fps)
        self._first_frame = self._next_frame = self._until = self._now = 0
        self._ended_at: int | None = None
        """Where the latest stretch ends, if it does."""
        self._frame_samples = AUDIO_HZ // self.format.fps
        self._sound = Soundtrack()
        self._cut_at = 0
        """Where the latest interruption was; none goes back behind it. Units: 48 kHz samples."""
        self._ease = Ease(self.format.fps)
        self._mover = engine.mover(avatar)
        self._track = PoseTrack(self.format.fps)
        self._rests = True
        """Whether there is an idle loop of the pose."""
        self._cadence = Cadence(self.format.fps, opened.drawn_fps, engine.hurried_fps)
        self._encoders = Encoders(self.format, zlib.crc32(opened.stream.encode()))
        self._anew: set[int] = set()
        """Frames that are yet to be made and from which on all encodings begin anew."""
        self._recordings = Recordings(self.format)
        height, width = self.format.height * 3 // 2, self.format.width
        self._canvas = np.empty((height, width), np.uint8)
        self._canvas_shown = False

    def set_encodings(self, encodings: Sequence[Encoding]) -> None:
        """Send pictures in these from now on; one that is added starts at a keyframe."""
        self._encoders.want(encodings)

    def force_keyframe(self, encoding: Encoding) -> None:
        """Make the next picture a keyframe."""
        self._encoders.force_keyframe(encoding)

    def set_pose(self, order: SetPose) -> None:
        """Go over to another pose from the next frame on. Errors: ValueError for one that the avatar has not."""
        if order.pose not in poses_of(self._mover):
            raise ValueError(f"{self.avatar.name} has no pose {order.pose!r}")
        self._track.change(self._next_frame, order.pose)
        self._rests = order.rests

    def hurry(self, quick: bool) -> None:
        """Encode in haste, and draw fewer pictures where these cost much; or no more."""
        self._cadence.quick = self._encoders.quick = quick

    def record(self, order: RecordSpeech, samples: int) -> None:
        """Make chunks of an utterance that is about to be enqueued, so many 48 kHz samples long."""
        self._recordings.add(order, samples)
        self._encoders.record(bool(self._recordings))

    def abandon(self, utterance: str) -> None:
        """Drop ``utterance`` where it has not started."""
        self.timeline.drop(lambda name: name != utterance)
        self._recordings.abandon(utterance)
        self._encoders.record(bool(self._recordings))

    def raise_epoch(self, epoch: int) -> None:
        """Units bear this one from now on, or a later one that was heard of before."""
        self.epoch = max(self.epoch, epoch)

    def enqueue(self, utterance: str, source: Source) -> None:
        """Speak ``utterance`` after what is queued."""
        self.timeline.enqueue(utterance, source)

    def go_live(self, frame: int, pose: str = NEUTRAL_POSE) -> None:
        """Start a stretch at ``frame``, from that pose. Errors: ValueError where the frame is not on the grid."""
        if frame % start_grid(self.format.fps):
            raise ValueError(f"frame {frame} is not on the start grid of {self.format.fps} frames/s")
        self.engine.reset(self.slot)
        self._first_frame = self._next_frame = self._until = self._now = frame
        self._cut_at = frame * self._frame_samples
        self.timeline.begin(self._cut_at)
        self._sound.begin(self._cut_at)
        self._ease = Ease(self.format.fps)
        wanted, self._track = self._track.pose, PoseTrack(self.format.fps, frame, pose)
        self._track.change(frame, wanted)
        self._canvas_shown, self.deadlines = False, Deadlines(self.format.fps)
        self._anew = {frame}
        self.live, self._ended_at = True, None

    def advance(self, until: int, now: int) -> None:
        """Grant frames below ``until``."""
        self._until, self._now = max(until, self._until), max(now, self._now)
        self.deadlines.heard(now, time.monotonic())
        self._sound.advance(self._now * self._frame_samples)

    @property
    def head_start(self) -> int:
        """Samples to play that the first frame of a stretch takes: so far ahead the engine looks."""
        ahead = max(self.engine.lookahead_samples * RATIO, self._frame_samples)
        return -(-ahead // OPUS_SAMPLES) * OPUS_SAMPLES

    @property
    def owed(self) -> int:
        """Samples of frames that are granted and not made."""
        return (self._allowed_until() - self._next_frame) * self._frame_samples if self.live else 0

    def demand(self) -> Demand:
        """What is granted and not made."""
        fresh = self._next_frame == self._first_frame
        since_s = -(self.deadlines.slack_s(self._now, time.monotonic()) or 0.0)
        return Demand(self.name, self.format.fps, self._next_frame, self._allowed_until(), self._now, fresh, since_s)

    def _allowed_until(self) -> int:
        """Frames below it may be made. Long before its time nothing begins and nothing ends: it may be interrupted."""
        begins = self.timeline.begins
        if self._idle_at(self._next_frame) and not self._may_end():
            return self._next_frame
        if begins is None or self._now == 0:
            return self._until
        before = self._unheard(begins)
        far = before > self._now + BEGIN_S * self.format.fps
        return min(self._until, max(before, self._next_frame)) if far else self._until

    def _unheard(self, sample: int) -> int:
        """Frames below it can be made, for certain, without what is heard from ``sample`` on."""
        return (sample - self.engine.lookahead_samples * RATIO) // self._frame_samples

    def _may_end(self) -> bool:
        """Whether all that was said has been heard by now; where there is no now, at once."""
        return self._now == 0 or self.timeline.voiced_until <= self._now * self._frame_samples

    def prepare(self, turn: Turn, send: Send) -> Prepared:
        """Push what the turn's frames need, send their sound and say how each is to be drawn."""
        while self.engine.ready(self.slot) < turn.count:
            self._make_block()
        prepared = Prepared(turn.first, [], [], None, [])
        for frame in range(turn.first, turn.first + turn.count):
            if self._idle_at(frame):
                prepared.idle_frame = frame if self._may_end() else None
                break
            strength = self._ease.step(speaking=self.timeline.speaking(frame * self._frame_samples))
            shown = bool(self._encoders) and not self._left_out(frame, turn)
            needed = not self._canvas_shown or self._ease.shut  # the idle loop, which may follow, has its mouth shut
            picture = self.avatar.picture_at(frame, self.format.fps)
            prepared.jobs.append(FrameJob(picture, strength, shown and self._cadence.draws(frame, needed=needed)))
            prepared.shown.append(shown)
        self._next_frame = turn.first + len(prepared.jobs)
        self._send_sound(self._next_frame * self._frame_samples, send)
        if prepared.idle_frame is not None:
            self.live, self._ended_at = False, prepared.idle_frame
            prepared.marks = self._sound.marks_ahead(self.timeline.at)
        return prepared

    def sound_ahead(self, send: Send) -> None:
        """Send what is granted of the sound of an utterance. The render thread, also while another one finishes.

        A recording takes sound with its pictures, and the first picture of a stretch is waited for more than its sound.
        Where the voice ends the stretch may end, and what is idle has a sound of its own.
        """
        if not self.live or self._recordings or self._next_frame == self._first_frame:
            return
        granted = self._allowed_until() * self._frame_samples
        while self.timeline.busy and self.timeline.at < granted:
            self._make_block()
        self._send_sound(min(granted, self.timeline.voiced_until), send)

    def _send_sound(self, before: int, send: Send) -> None:
        for block in self._sound.take(before):
            self._send_block(block, send)

    def _make_block(self) -> None:
        block = self.timeline.next_block()
        self.engine.push(self.slot, block.analyse)
        self._sound.add(block)

    def _left_out(self, frame: int, turn: Turn) -> bool:
        """Whether it comes too late to be shown. A recording shows its last picture for longer, so it needs a first."""
        first_of_all = frame == turn.first and not self._canvas_shown
        return frame < turn.first + turn.late and not (self._recordings and first_of_all)

    def _idle_at(self, frame: int) -> bool:
        """Whether the stretch ends before ``frame``: all is said, the mouth is shut, an idle keyframe is there.

        Not while an utterance is held: it goes on at once when more of it comes.
        """
        on_grid = frame % idle_grid(self.format.fps) == 0
        said = not self.timeline.busy and self.timeline.voiced_until <= frame * self._frame_samples
        return on_grid and self._ease.shut and said and self._rests and self._track.settled(frame)

    def finish(
        self, prepared: Prepared, drawings: Sequence[Drawing | None], compose: Compose, send: Send, meter: Meter
    ) -> None:
        """Draw, encode and send the turn's frames."""
        for index, drawing in enumerate(drawings):
            frame = prepared.first + index
            if drawing is not None:
                self._draw(frame, drawing, compose, meter)
            if self._canvas_shown and (prepared.shown[index] or self._recordings.keyframe_at(frame)):
                self._send_picture(frame, send, meter)
            else:
                self._recordings.repeat(frame)
            self._recordings.send(send)
        if prepared.idle_frame is not None:
            self._tell(prepared.marks, send)
            self._recordings.end(send)
            send(WentIdle(self.name, prepared.idle_frame, self._track.pose))
        self._encoders.record(bool(self._recordings))

    def _send_block(self, block: Block, send: Send) -> None:
        self._tell(block.marks, send)
        send(self._sound.unit(self.name, self.epoch, block))
        self._recordings.hear(block)

    def _draw(self, frame: int, drawing: Drawing, compose: Compose, meter: Meter) -> None:
        began_s = time.perf_counter()
        patch = drawing()
        drawn_s = time.perf_counter()
        compose(self.avatar.pictures[patch.picture], patch, self._canvas)
        if self._mover is not None:
            pose = self._track.motion(frame, patch.picture, len(self.avatar.pictures))
            self._mover(self._canvas, pose.plus(patch.accent))
        self._canvas_shown = True
        meter.add("draw", drawn_s - began_s)
        meter.add("compose", time.perf_counter() - drawn_s)

    def _send_picture(self, frame: int, send: Send, meter: Meter) -> None:
        if any(first <= frame for first in self._anew):
            self._encoders.begin()
            self._anew = {first for first in self._anew if first > frame}
        recorded_keyframe, time_90k = self._recordings.keyframe_at(frame), frame * VIDEO_HZ // self.format.fps
        for made in self._encoders.encode(self._canvas, frame, meter, recorded_keyframe=recorded_keyframe):
            picture, codec, rendition = made.picture, made.encoding.codec, made.encoding.rendition
            if made.encoding == RECORDED:
                self._recordings.show(frame, picture, made.spent_s)
            if made.wanted:
                send(Unit(self.name, self.epoch, codec, time_90k, picture.keyframe, picture.data, rendition))

    def _tell(self, marks: Iterable[Mark], send: Send) -> None:
        for mark in marks:
            message = message_of(self.name, mark)
            if isinstance(mark, Started):
                self._recordings.begin(mark.utterance, mark.at)
            if isinstance(message, SpeechFinished):
                self._recordings.finish(message, send)
            else:
                send(message)

    def interrupt(self, order: Interrupt, stays: Stays, send: Send) -> Interrupted:
        """Silence whoever does not stay, from ``order.at`` on; the answer, which is to be sent before ``catch_up``.

        A time that is too early counts as the earliest that can be: where the stretch starts, or the interruption
        before. One that is not granted counts as the latest that is.
        """
        self.raise_epoch(order.epoch)
        cut = self._cut(order.at, stays, send)
        dropped = [*(cut.dropped if cut else ()), *self.timeline.drop(stays)]
        self._recordings.forget([*dropped, *([cut.utterance] if cut and cut.utterance else ())])
        self._encoders.record(bool(self._recordings))
        if cut is None:
            return Interrupted(self.name, order.epoch, None, order.at, 0, dropped)
        return Interrupted(self.name, order.epoch, cut.utterance, cut.media_time, cut.samples, dropped)

    def catch_up(self, send: Send) -> None:
        """Send the first of the sound that an interruption has made anew: pictures, with the rest, take a while."""
        frames = self._next_frame if self._idle_at(self._next_frame) else self._next_frame + 1
        for block in self._sound.take_again(frames * self._frame_samples):
            self._send_block(block, send)

    def _cut(self, at: int, stays: Stays, send: Send) -> Cut | None:
        """The interruption; None where the stretch is over by then, for then nobody speaks."""
        if not self.live and (self._ended_at is None or at >= self._ended_at * self._frame_samples):
            return None
        self.live, self._ended_at = True, None
        at = self._place(at)
        while self.timeline.at <= at:
            self._make_block()
        self._tell(self._sound.marks_ahead(at), send)
        cut = self._sound.cut(at, stays)
        self._tell(cut.said, send)
        if cut.silent:
            self.timeline.cut(cut.silent, cut.blocks[-1].at + OPUS_SAMPLES, stays)
        self._cut_at = at
        self._go_back(self._frame_at(at))
        if cut.silent:  # what was granted far ahead was not for who comes next
            self._until = min(self._until, max(self._next_frame, self._unheard(cut.silent.stop)))
        return cut

    def _frame_at(self, sample: int) -> int:
        """The first frame at or after it."""
        return -(-sample // self._frame_samples)

    def _place(self, at: int) -> int:
        """The block at which a cut can be made."""
        remembered = self._sound.remembered
        earliest = max(self._cut_at, self.timeline.at if remembered is None else remembered)
        latest = max(self.timeline.at, self._until * self._frame_samples)
        return -(-min(max(at, earliest), latest) // OPUS_SAMPLES) * OPUS_SAMPLES

    def _go_back(self, frame: int) -> None:
        """Make pictures anew from a frame on, where they were made."""
        again = max(0, self._next_frame - frame)
        if again:
            self._recordings.again(self._next_frame)
            self._canvas_shown = False
        self._next_frame -= again
        self._ease.rewind(again)
        self._track.rewind(self._next_frame)
        heard = (self.timeline.at - self._first_frame * self._frame_samples) // RATIO
        self.engine.rewind(self.slot, self._next_frame - self._first_frame, heard)
        self._anew.add(frame)

    def fail(self) -> tuple[int, list[str]]:
        """Give the stretch up: the frame from which the stream is idle, and the utterances that are lost."""
        self.live, self._ended_at = False, None
        self._forget_recordings()
        grid, made = idle_grid(self.format.fps), max(self._next_frame, self._frame_at(self._sound.sent_until))
        return -(-made // grid) * grid, self.timeline.clear()

    def _forget_recordings(self) -> None:
        self._recordings.clear()
        self._encoders.record(bool(self._recordings))

    def close(self) -> list[str]:
        """Free the slot; the utterances that are lost."""
        self.live = False
        self._forget_recordings()
        self.engine.close(self.slot)
        return self.timeline.clear()
