"""A stream's picture encoders: one for each encoding that its viewers need, and the one that a recording needs.

An encoder that is added begins with a keyframe. What a recording takes is what a viewer of the full picture gets.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.encode import Picture, PictureEncoder
from avatar.messages import Codec, Encoding, VideoFormat

RECORDED: Final = Encoding(Codec.H264)
"""What recordings are made of."""


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

    def __init__(self, shape: VideoFormat) -> None:
        self._shape = shape
        self._wanted: list[Encoding] = []
        self._recording = False
        self._encoders: dict[Encoding, PictureEncoder] = {}
        self._keyframe_due: set[Encoding] = set()

    def __bool__(self) -> bool:
        """Whether anybody needs a picture."""
        return bool(self._encoders)

    def want(self, encodings: Sequence[Encoding]) -> None:
        """What viewers need from now on; one that is added starts at a keyframe."""
        self._keyframe_due.update(set(encodings) - set(self._wanted))  # a recording may have been encoding it already
        self._wanted = list(dict.fromkeys(encodings))
        self._fit()

    def record(self, recording: bool) -> None:
        """Whether a recording needs pictures from now on."""
        self._recording = recording
        self._fit()

    def _fit(self) -> None:
        needed = [*self._wanted, *([RECORDED] if self._recording else [])]
        for gone in self._encoders.keys() - set(needed):
            del self._encoders[gone]
        for encoding in needed:
            if encoding not in self._encoders:
                self._encoders[encoding] = PictureEncoder(encoding.codec, self._shape)
                self._keyframe_due.add(encoding)

    def force_keyframe(self, encoding: Encoding) -> None:
        """Make the next picture of it a keyframe."""
        self._keyframe_due.add(encoding)

    def begin(self) -> None:
        """A live stretch begins: everything starts at a keyframe."""
        self._keyframe_due.update(self._encoders)

    def encode(self, canvas: NDArray[np.uint8], frame: int, *, recorded_keyframe: bool) -> Iterator[Encoded]:
        """One picture in every encoding; ``recorded_keyframe`` where a recording needs it to be one.

        Shapes: canvas (height * 3 // 2, width), I420.
        """
        for encoding, encoder in self._encoders.items():
            began_s = time.perf_counter()
            keyframe = encoding in self._keyframe_due or (recorded_keyframe and encoding == RECORDED)
            picture = encoder.encode(canvas, frame, keyframe=keyframe)
            self._keyframe_due.discard(encoding)
            yield Encoded(encoding, picture, encoding in self._wanted, time.perf_counter() - began_s)
