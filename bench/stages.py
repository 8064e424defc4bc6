"""What each step from speech to encoded picture costs, on one core, on the avatar and the speech that ship.

The steps are those of the worker, one frame at a time in the same order, with the worker's own parts. Times are
processor time, so a busy machine blurs them but does not add to them; caches and clock rate it still takes away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import torch

from avatar.compose import compose
from avatar.encode import OpusEncoder
from avatar.engines.engine import FrameJob, Work
from avatar.engines.viseme.network import load_network
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.viseme_engine import WEIGHTS, VisemeEngine
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, Codec, VideoFormat
from avatar.prepared import PreparedAvatar, find_avatar, load_prepared
from bench.contenders import Contender, Watch, ours, theirs
from bench.figures import Spread, spread
from bench.machine import Machine, one_core, this_machine
from bench.voice import Voice

WARM_UP: Final = 5
"""Frames that are made and not counted: first calls allocate, and an encoder's first picture is a keyframe."""
BATCH: Final = 16
"""Streams in one call of the network, for the figure a stream."""


@dataclass(frozen=True, slots=True)
class EncoderFigures:
    """One encoder on the stream's pictures."""

    ms: Spread
    kbps: float
    psnr_db: float


@dataclass(frozen=True, slots=True)
class StageFigures:
    """All that was measured. Units: ms of one core for one frame of one stream, where nothing else is said."""

    machine: Machine
    width: int
    height: int
    fps: int
    frames: int
    hear: Spread
    """Log-mel and network, among the other steps; the next two are nothing but hearing, with warm caches."""
    hear_alone: Spread
    hear_batched: Spread
    """A stream's share where sixteen are heard in one call."""
    draw: Spread
    compose: Spread
    opus: Spread
    h264: EncoderFigures
    vp8: EncoderFigures
    total: Spread
    """One stream with H.264 viewers."""
    total_both: Spread
    """One stream with H.264 and VP8 viewers."""
    h264_quick: EncoderFigures
    """In haste."""
    vp8_quick: EncoderFigures
    aiortc_h264: EncoderFigures
    aiortc_vp8: EncoderFigures
    mouth_only: Spread
    """The drawn mouth into its planar picture: draw and compose."""
    convert_whole: Spread
    """A whole RGB picture, already drawn, to planar YUV: what a mouth-only stream does not pay."""


def measure_stages(assets: Path, avatar_name: str, size: tuple[int, int], fps: int, frames: int) -> StageFigures:
    """Measure ``frames`` frames of one live stream. Errors: AvatarInvalid where there is no such avatar or size."""
    machine = this_machine()
    shape = VideoFormat(*size, fps)
    avatar = load_prepared(find_avatar(assets / "avatars", avatar_name), size)
    voice = Voice(assets)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with one_core():
        lane = _Lane(assets, avatar, voice, shape)
        heard = {streams: lane.hear(streams, frames) for streams in (1, BATCH)}
        for frame in range(WARM_UP + frames):
            lane.make(frame, counted=frame >= WARM_UP)
    return lane.figures(machine, frames, heard[1], heard[BATCH])


class _Lane:
    """One stream through all steps."""

    def __init__(self, assets: Path, avatar: PreparedAvatar, voice: Voice, shape: VideoFormat) -> None:
        self._engine = VisemeEngine(load_network(assets / WEIGHTS), MouthPainter)
        self._avatar, self._voice, self._shape = avatar, voice, shape
        self._slot = self._engine.open(avatar, shape.fps)
        self._opus = OpusEncoder()
        self._canvas = np.empty(avatar.pictures[0].shape, np.uint8)
        self._encoders = {codec: ours(codec, shape) for codec in (Codec.H264, Codec.VP8)}
        self._quick = {codec: ours(codec, shape, quick=True) for codec in (Codec.H264, Codec.VP8)}
        self._others = {codec: theirs(codec, shape) for codec in (Codec.H264, Codec.VP8)}
        self._pushed = self._played = 0
        self._costs: dict[str, list[float]] = {}

    def hear(self, streams: int, frames: int) -> list[float]:
        """A stream's share of log-mel and network, frame by frame; nothing is drawn."""
        slots = [self._engine.open(self._avatar, self._shape.fps) for _ in range(streams)]
        costs: list[float] = []
        pushed = 0
        for frame in range(WARM_UP + frames):
            job = FrameJob(self._avatar.picture_at(frame, self._shape.fps), draw=False)
            watch = Watch()
            while self._engine.ready(slots[0]) < 1:
                for index, slot in enumerate(slots):  # each at another place of the sentence
                    self._engine.push(slot, self._voice.analyse(pushed + 17 * index))
                pushed += 1
            self._engine.step([Work(slot, [job]) for slot in slots])
            costs.append(watch.ms() / streams)
        for slot in slots:
            self._engine.close(slot)
        return costs[WARM_UP:]

    def make(self, frame: int, *, counted: bool) -> None:
        """One frame, from samples to units."""
        picture = self._avatar.picture_at(frame, self._shape.fps)
        watch = Watch()
        while self._engine.ready(self._slot) < 1:
            self._engine.push(self._slot, self._voice.analyse(self._pushed))
            self._pushed += 1
        ((drawing,),) = self._engine.step([Work(self._slot, [FrameJob(picture)])])
        costs = {"hear": watch.ms()}
        assert drawing is not None
        watch = Watch()
        patch = drawing()
        costs["draw"] = watch.ms()
        watch = Watch()
        compose(self._avatar.pictures[picture], patch, self._canvas)
        costs["compose"] = watch.ms()
        for codec, encoder in self._encoders.items():
            costs[codec] = encoder.take(self._canvas, frame, counted=counted)
        costs["opus"] = self._say(frame)
        for other in (*self._quick.values(), *self._others.values()):
            other.take(self._canvas, frame, counted=counted)
        costs["convert"] = self._convert_whole()
        if counted:
            for name, cost in costs.items():
                self._costs.setdefault(name, []).append(cost)

    def _say(self, frame: int) -> float:
        """The sound under one picture; some frames have one packet more than others."""
        until = (frame + 1) * AUDIO_HZ // self._shape.fps // OPUS_SAMPLES
        watch = Watch()
        while self._played < until:
            self._opus.encode(self._voice.play(self._played))
            self._played += 1
        return watch.ms()

    def _convert_whole(self) -> float:
        """What an engine that gives whole RGB pictures pays before the encoder, by the way that aiortc itself takes."""
        rgb = cv2.cvtColor(self._canvas, cv2.COLOR_YUV2RGB_I420)
        watch = Watch()
        av.VideoFrame.from_ndarray(np.asarray(rgb, np.uint8), format="rgb24").reformat(format="yuv420p")
        return watch.ms()

    def figures(
        self, machine: Machine, frames: int, heard: Sequence[float], heard_batched: Sequence[float]
    ) -> StageFigures:
        """Everything, summed up."""
        costs, shape = self._costs, self._shape
        total = _sums(costs, "hear", "draw", "compose", Codec.H264, "opus")
        return StageFigures(
            machine,
            shape.width,
            shape.height,
            shape.fps,
            frames,
            hear=spread(costs["hear"]),
            hear_alone=spread(heard),
            hear_batched=spread(heard_batched),
            draw=spread(costs["draw"]),
            compose=spread(costs["compose"]),
            opus=spread(costs["opus"]),
            h264=_encoder_figures(self._encoders[Codec.H264], shape.fps),
            vp8=_encoder_figures(self._encoders[Codec.VP8], shape.fps),
            total=spread(total),
            total_both=spread([a + b for a, b in zip(total, costs[Codec.VP8], strict=True)]),
            h264_quick=_encoder_figures(self._quick[Codec.H264], shape.fps),
            vp8_quick=_encoder_figures(self._quick[Codec.VP8], shape.fps),
            aiortc_h264=_encoder_figures(self._others[Codec.H264], shape.fps),
            aiortc_vp8=_encoder_figures(self._others[Codec.VP8], shape.fps),
            mouth_only=spread(_sums(costs, "draw", "compose")),
            convert_whole=spread(costs["convert"]),
        )


def _sums(costs: dict[str, list[float]], *names: str) -> list[float]:
    """Several steps together, frame by frame."""
    return [sum(frame) for frame in zip(*(costs[name] for name in names), strict=True)]


def _encoder_figures(contender: Contender, fps: int) -> EncoderFigures:
    seconds = len(contender.costs_ms) / fps
    return EncoderFigures(spread(contender.costs_ms), contender.made_bytes * 8 / 1000 / seconds, contender.psnr_db)
