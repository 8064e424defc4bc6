"""A stream's picture encoders: one for each encoding that its viewers need, and the one that a recording needs.

An encoder that is added begins with a keyframe. What a recording takes is what a viewer of the full picture gets. A
picture is scaled once for each smaller size, however many codecs show it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.encode import Picture, PictureEncoder
from avatar.messages import Codec, Encoding, VideoFormat, ladder
from avatar.scale import scale

RECORDED: Final = Encoding(Codec.H264)
"""What recordings are made of."""
HURRY_S: Final = 2
"""Where haste begins, all encoders have changed over after so long: at a keyframe each, which are expensive."""


class Meter(Protocol):
    """Where times are added up."""

    def add(self, stage: str, seconds: float) -> None:
        """``seconds`` more were spent on ``stage``."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture in one of its encodings."""

    encoding: Encoding
    picture: Picture
    wanted: bool
    """Whether viewers need it; else it is made for a recording alone."""
    spent_s: float


class Encoders:
    """The encoders of one stream."""

    def __init__(self, shape: VideoFormat, turn: int = 0) -> None:
        """``turn``: any number; streams with different ones do not all begin to hurry at once."""
        self.quick = False
        """Whether to encode in haste: from the next keyframe on, which is soon where haste begins."""
        self._turn = turn % (HURRY_S * shape.fps)
        self._hurries_at: int | None = None
        """Before that frame encoders change over at keyframes that are made anyway."""
        self._ladder = ladder(shape)
        self._wanted: list[Encoding] = []
        self._recording = False
        self._encoders: dict[Encoding, PictureEncoder] = {}
        self._keyframe_due: set[Encoding] = set()
        self._smaller: dict[int, NDArray[np.uint8]] = {}
        """Memory for scaled pictures, by rung."""

    def __bool__(self) -> bool:
        """Whether anybody needs a picture."""
        return bool(self._encoders)

    def want(self, encodings: Sequence[Encoding]) -> None:
        """What viewers need from now on, as far as the ladder goes; one that is added starts at a keyframe."""
        wanted = [each for each in dict.fromkeys(encodings) if each.rendition < len(self._ladder)]
        self._keyframe_due.update(set(wanted) - set(self._wanted))  # a recording may have been encoding it already
        self._wanted = wanted
        self._fit()

    def record(self, recording: bool) -> None:
        """Whether a recording needs pictures from now on."""
        self._recording = recording
        self._fit()

    def _fit(self) -> None:
        needed = [*self._wanted, *([RECORDED] if self._recording else [])]
        for gone in self._encoders.keys() - set(needed):
            del self._encoders[gone]
        for rung in self._smaller.keys() - {each.rendition for each in needed}:
            del self._smaller[rung]
        for encoding in needed:
            if encoding not in self._encoders:
                self._encoders[encoding] = self._open(encoding)
                self._keyframe_due.add(encoding)

    def _open(self, encoding: Encoding) -> PictureEncoder:
        rung = encoding.rendition
        return PictureEncoder(encoding.codec, self._ladder[rung], rendition=rung, quick=self.quick)

    def force_keyframe(self, encoding: Encoding) -> None:
        """Make the next picture of it a keyframe."""
        self._keyframe_due.add(encoding)

    def begin(self) -> None:
        """A live stretch begins, or is made anew from here on: everything starts at a keyframe."""
        self._keyframe_due.update(self._encoders)

    def encode(
        self, canvas: NDArray[np.uint8], frame: int, meter: Meter, *, recorded_keyframe: bool
    ) -> Iterator[Encoded]:
        """One picture in every encoding; ``recorded_keyframe`` where a recording needs it to be one.

        Shapes: canvas (height * 3 // 2, width), I420.
        """
        pictures = {0: canvas}
        self._change_pace(frame, recorded_keyframe=recorded_keyframe)
        for encoding, encoder in self._encoders.items():
            if encoding.rendition not in pictures:
                pictures[encoding.rendition] = self._scaled(canvas, encoding.rendition, meter)
            began_s = time.perf_counter()
            keyframe = encoding in self._keyframe_due or (recorded_keyframe and encoding == RECORDED)
            picture = encoder.encode(pictures[encoding.rendition], frame, keyframe=keyframe)
            self._keyframe_due.discard(encoding)
            spent_s = time.perf_counter() - began_s
            meter.add("encode", spent_s)
            yield Encoded(encoding, picture, encoding in self._wanted, spent_s)

    def _change_pace(self, frame: int, *, recorded_keyframe: bool) -> None:
        """Begin or end haste with encoders that begin anew."""
        if not self.quick:
            self._hurries_at = None
        elif self._hurries_at is None:
            self._hurries_at = frame + self._turn
        hurries = self._hurries_at is not None and frame >= self._hurries_at
        for encoding, encoder in self._encoders.items():
            begins = encoding in self._keyframe_due or (recorded_keyframe and encoding == RECORDED)
            if encoder.quick is not self.quick and (begins or hurries):
                self._encoders[encoding] = self._open(encoding)
                self._keyframe_due.add(encoding)

    def _scaled(self, canvas: NDArray[np.uint8], rung: int, meter: Meter) -> NDArray[np.uint8]:
        began_s = time.perf_counter()
        if rung not in self._smaller:
            shape = self._ladder[rung]
            self._smaller[rung] = np.empty((shape.height * 3 // 2, shape.width), np.uint8)
        scale(canvas, self._smaller[rung])
        meter.add("scale", time.perf_counter() - began_s)
        return self._smaller[rung]
