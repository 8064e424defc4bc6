"""One stream on air: its timeline, its engine slot and its encoders, from granted frames to encoded units.

A live stretch is planned by the render thread (``prepare``: samples pushed, jobs for the engine) and finished by any
one thread (``finish``: composed, encoded, sent), stretch after stretch on one clock.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.decode import RATIO
from avatar.encode import OpusEncoder
from avatar.encoders import RECORDED, Encoders, Meter
from avatar.engines.engine import Engine, FrameJob, Patch
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    VIDEO_HZ,
    Codec,
    Encoding,
    FromWorker,
    OpenStream,
    RecordSpeech,
    SpeechFinished,
    SpeechHeld,
    SpeechMark,
    SpeechResumed,
    SpeechStarted,
    Unit,
    WentIdle,
    idle_grid,
    start_grid,
)
from avatar.prepared import PreparedAvatar
from avatar.recorder import Recorder
from avatar.scheduler import Demand, Turn
from avatar.timeline import Block, Ease, Finished, Held, Marked, Resumed, Source, Started, Timeline

log = logging.getLogger(__name__)

Compose = Callable[[NDArray[np.uint8], Patch, NDArray[np.uint8]], object]
Send = Callable[[FromWorker], None]


@dataclass(slots=True)
class Prepared:
    """A turn that the engine can make. Shapes: one job and one list of blocks a frame."""

    first: int
    jobs: list[FrameJob]
    blocks: list[list[Block]]
    shown: list[bool]
    """Whether a frame is sent at all; one that is sent and not drawn is the last one again."""
    idle_frame: int | None
    """Where the stretch ends, after these frames."""


class Pipeline:
    """One stream."""

    def __init__(self, opened: OpenStream, avatar: PreparedAvatar, engine: Engine, stall_s: float) -> None:
        self.name, self.avatar, self.format = opened.stream, avatar, opened.format
        self.slot = engine.open(avatar, self.format.fps)
        self.timeline = Timeline(stall_s)
        self.live = False
        self.epoch = 0
        self._engine = engine
        self._next_frame = self._until = self._now = 0
        self._frame_samples = AUDIO_HZ // self.format.fps
        self._ahead: deque[Block] = deque()
        self._ease = Ease(self.format.fps)
        self._drawn_fps = opened.drawn_fps or self.format.fps
        self._encoders = Encoders(self.format)
        self._recorders: dict[str, Recorder] = {}
        self._held_back: dict[str, SpeechFinished] = {}
        """Ends of recorded utterances, of which a chunk is yet to come."""
        self._opus = OpusEncoder()
        height, width = self.format.height * 3 // 2, self.format.width
        self._canvas = np.empty((height, width), np.uint8)
        self._canvas_shown = False

    def set_encodings(self, encodings: Sequence[Encoding]) -> None:
        """Send pictures in these from now on; one that is added starts at a keyframe."""
        self._encoders.want(encodings)

    def force_keyframe(self, encoding: Encoding) -> None:
        """Make the next picture a keyframe."""
        self._encoders.force_keyframe(encoding)

    def record(self, order: RecordSpeech, samples: int) -> None:
        """Make chunks of an utterance that is about to be enqueued, so many 48 kHz samples long."""
        self._recorders[order.utterance] = Recorder(order, samples, self.format)
        self._encoders.record(bool(self._recorders))

    def abandon(self, utterance: str) -> None:
        """Drop ``utterance`` where it has not started."""
        self.timeline.drop(lambda name: name != utterance)
        if utterance in self._recorders and not self._recorders[utterance].begun:
            del self._recorders[utterance]
            self._encoders.record(bool(self._recorders))

    def enqueue(self, utterance: str, source: Source) -> None:
        """Speak ``utterance`` after what is queued."""
        self.timeline.enqueue(utterance, source)

    def go_live(self, frame: int) -> None:
        """Start a stretch at ``frame``. Errors: ValueError where that is not on the grid."""
        if frame % start_grid(self.format.fps):
            raise ValueError(f"frame {frame} is not on the start grid of {self.format.fps} frames/s")
        self._engine.reset(self.slot)
        self._next_frame = self._until = self._now = frame
        self.timeline.begin(frame * self._frame_samples)
        self._ahead.clear()
        self._ease = Ease(self.format.fps)
        self._canvas_shown = False
        self._encoders.begin()
        self._opus = OpusEncoder()  # the idle packets before it came from another one: start from silence as they did
        self.live = True

    def advance(self, until: int, now: int) -> None:
        """Grant frames below ``until``."""
        self._until, self._now = max(until, self._until), max(now, self._now)

    @property
    def head_start(self) -> int:
        """Samples to play that the first frame of a stretch takes: so far ahead the engine looks."""
        ahead = max(self._engine.lookahead_samples * RATIO, self._frame_samples)
        return -(-ahead // OPUS_SAMPLES) * OPUS_SAMPLES

    @property
    def owed(self) -> int:
        """Samples of frames that are granted and not made."""
        return (self._until - self._next_frame) * self._frame_samples if self.live else 0

    def demand(self) -> Demand:
        """What is granted and not made."""
        return Demand(self.name, self.format.fps, self._next_frame, self._until, self._now)

    def prepare(self, turn: Turn) -> Prepared:
        """Push what the turn's frames need and say how each is to be drawn."""
        while self._engine.ready(self.slot) < turn.count:
            block = self.timeline.next_block()
            self._engine.push(self.slot, block.analyse)
            self._ahead.append(block)
        prepared = Prepared(turn.first, [], [], [], None)
        for frame in range(turn.first, turn.first + turn.count):
            if self._idle_at(frame):
                prepared.idle_frame = frame
                break
            strength = self._ease.step(speaking=self.timeline.speaking(frame * self._frame_samples))
            shown = bool(self._encoders) and not self._left_out(frame, turn)
            picture = self.avatar.picture_at(frame, self.format.fps)
            prepared.jobs.append(FrameJob(picture, strength, shown and self._drawn(frame)))
            prepared.shown.append(shown)
            prepared.blocks.append(self._blocks_before((frame + 1) * self._frame_samples))
        self._next_frame = turn.first + len(prepared.jobs)
        if prepared.idle_frame is not None:
            self.live = False
        return prepared

    def _left_out(self, frame: int, turn: Turn) -> bool:
        """Whether it comes too late to be shown. A recording shows its last picture for longer, so it needs a first."""
        first_of_all = frame == turn.first and not self._canvas_shown
        return frame < turn.first + turn.late and not (self._recorders and first_of_all)

    def _drawn(self, frame: int) -> bool:
        """Whether a picture is drawn; between those that are, the last one is sent again."""
        fps, drawn = self.format.fps, self._drawn_fps
        due = drawn >= fps or frame * drawn // fps != (frame - 1) * drawn // fps
        return due or not self._canvas_shown or self._ease.shut  # the idle loop, which may follow, has its mouth shut

    def _idle_at(self, frame: int) -> bool:
        """Whether the stretch ends before ``frame``: all is said, the mouth is shut, an idle keyframe is there.

        Not while an utterance is held: it goes on at once when more of it comes.
        """
        on_grid = frame % idle_grid(self.format.fps) == 0
        said = not self.timeline.busy and not self.timeline.speaking(frame * self._frame_samples)
        return on_grid and self._ease.shut and said

    def _blocks_before(self, sample: int) -> list[Block]:
        blocks: list[Block] = []
        while self._ahead and self._ahead[0].at < sample:
            blocks.append(self._ahead.popleft())
        return blocks

    def finish(
        self, prepared: Prepared, patches: Sequence[Patch | None], compose: Compose, send: Send, meter: Meter
    ) -> None:
        """Compose, encode and send the turn's frames: their sound first, which is soonest missed and soonest made."""
        for blocks in prepared.blocks:
            for block in blocks:
                self._send_block(block, send)
        for index, patch in enumerate(patches):
            frame = prepared.first + index
            if patch is not None:
                self._compose(patch, compose, meter)
            if self._canvas_shown and (prepared.shown[index] or self._begins_chunk(frame)):
                self._send_picture(frame, send, meter)
            else:
                for recorder in self._taking(frame):
                    recorder.repeat()
            self._send_chunks(send)
        if prepared.idle_frame is not None:
            for block in self._ahead:  # marks that came with blocks made ahead and never to be played
                self._send_marks(block, send)
            self._ahead.clear()
            self._end_recordings(send)
            send(WentIdle(self.name, prepared.idle_frame))

    def _send_block(self, block: Block, send: Send) -> None:
        self._send_marks(block, send)
        send(Unit(self.name, self.epoch, Codec.OPUS, block.at, True, self._opus.encode(block.play)))
        for recorder in self._recorders.values():
            recorder.add_sound(block.at, block.play)

    def _taking(self, frame: int) -> list[Recorder]:
        """Those whose utterance has that frame."""
        return [recorder for recorder in self._recorders.values() if recorder.takes(frame)]

    def _begins_chunk(self, frame: int) -> bool:
        """Whether a chunk does: with a keyframe, however late it is."""
        return any(recorder.begins_chunk(frame) for recorder in self._recorders.values())

    def _compose(self, patch: Patch, compose: Compose, meter: Meter) -> None:
        began_s = time.perf_counter()
        compose(self.avatar.pictures[patch.picture], patch, self._canvas)
        self._canvas_shown = True
        meter.add("compose", time.perf_counter() - began_s)

    def _send_picture(self, frame: int, send: Send, meter: Meter) -> None:
        taking, time_90k = self._taking(frame), frame * VIDEO_HZ // self.format.fps
        for made in self._encoders.encode(self._canvas, frame, meter, recorded_keyframe=self._begins_chunk(frame)):
            picture, codec, rendition = made.picture, made.encoding.codec, made.encoding.rendition
            for recorder in taking if made.encoding == RECORDED else []:
                recorder.add_picture(picture, made.spent_s)
            if made.wanted:
                send(Unit(self.name, self.epoch, codec, time_90k, picture.keyframe, picture.data, rendition))

    def _send_marks(self, block: Block, send: Send) -> None:
        for mark in block.marks:
            match mark:
                case Started():
                    if mark.utterance in self._recorders:
                        self._recorders[mark.utterance].begin(mark.at)
                    send(SpeechStarted(self.name, mark.utterance, mark.at))
                case Finished():
                    self._send_finished(
                        SpeechFinished(self.name, mark.utterance, mark.at, mark.samples, mark.error), send
                    )
                case Marked():
                    send(SpeechMark(self.name, mark.utterance, mark.name, mark.at, mark.samples))
                case Held():
                    log.info("stream %s: %s ran dry after %.1f s", self.name, mark.utterance, mark.samples / AUDIO_HZ)
                    send(SpeechHeld(self.name, mark.utterance, mark.at, mark.samples))
                case Resumed():
                    send(SpeechResumed(self.name, mark.utterance, mark.at, mark.samples))

    def _send_finished(self, finished: SpeechFinished, send: Send) -> None:
        """The end of an utterance: after its last chunk, where it is recorded."""
        recorder = self._recorders.get(finished.utterance)
        if recorder is None:
            send(finished)
            return
        self._held_back[finished.utterance] = finished
        self._send_chunks(send)

    def _send_chunks(self, send: Send) -> None:
        for recorder in list(self._recorders.values()):
            for chunk in recorder.chunks():
                send(chunk)
            if recorder.complete and recorder.utterance in self._held_back:
                send(self._held_back.pop(recorder.utterance))
                del self._recorders[recorder.utterance]
                self._encoders.record(bool(self._recorders))

    def _end_recordings(self, send: Send) -> None:
        """The stretch ends: a recording that lacks something cannot get it any more."""
        for name, finished in self._held_back.items():
            del self._recorders[name]
            send(msgspec.structs.replace(finished, error=finished.error or "pictures were lost"))
        self._held_back.clear()
        self._encoders.record(bool(self._recorders))

    def fail(self) -> tuple[int, list[str]]:
        """Give the stretch up: the frame from which the stream is idle, and the utterances that are lost."""
        self.live = False
        self._ahead.clear()
        self._forget_recordings()
        grid = idle_grid(self.format.fps)
        return -(-self._next_frame // grid) * grid, self.timeline.clear()

    def _forget_recordings(self) -> None:
        self._recorders.clear()
        self._held_back.clear()
        self._encoders.record(bool(self._recorders))

    def close(self) -> list[str]:
        """Free the slot; the utterances that are lost."""
        self.live = False
        self._forget_recordings()
        self._engine.close(self.slot)
        return self.timeline.clear()
