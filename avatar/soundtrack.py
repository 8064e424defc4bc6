"""The sound of a live stretch: blocks made ahead of the frames they belong to, sent, and remembered for a while.

What was sent can be cut and made anew from any block on that is remembered. The packets that follow come from a fresh
encoder, which has heard the two blocks before, so that whoever has decoded those hears no click (but where libopus was
just then going over to its mode for music, which speech does not make it do).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.cut import Cut, cut
from avatar.encode import OpusEncoder
from avatar.engines.engine import REWIND_S
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, PATIENCE_PACKETS, Codec, Unit
from avatar.outbox import Unmade
from avatar.timeline import Block, Mark, Stays

PRIMED_WITH: Final = 2
"""Blocks after which an encoder agrees with a decoder that has heard the same from another one."""
REMEMBERED: Final = REWIND_S * AUDIO_HZ // OPUS_SAMPLES


class LateOpus:
    """An encoder that is made with its first packet, by who makes that."""

    def __init__(self, heard: Sequence[NDArray[np.int16]] = ()) -> None:
        """``heard``: what is not sent, but was before. Shapes: (960,) each."""
        self._heard = heard
        self._encoder: OpusEncoder | None = None

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """One packet. Shapes: samples (960,)."""
        if self._encoder is None:
            self._encoder = OpusEncoder()
            for before in self._heard:
                self._encoder.encode(before)
            self._heard = ()
        return self._encoder.encode(samples)


class Soundtrack:
    """One stream's."""

    def __init__(self) -> None:
        self._ahead: deque[Block] = deque()
        self._sent: deque[Block] = deque(maxlen=REMEMBERED)
        self.sent_until = self._now = 0
        """No block that was taken stands there or later."""
        self._opus = LateOpus()

    def begin(self, at: int) -> None:
        """A stretch starts at ``at``. Units here: 48 kHz samples on the stream's clock."""
        self._ahead.clear()
        self._sent.clear()
        self.sent_until = self._now = at
        self._opus = LateOpus()  # the idle packets before it came from another one: start from silence as they did

    def add(self, block: Block) -> None:
        """One more is made."""
        self._ahead.append(block)

    def take(self, before: int) -> list[Block]:
        """Those that stand before ``before`` and are yet to be sent."""
        taken: list[Block] = []
        while self._ahead and self._ahead[0].at < before:
            taken.append(self._ahead.popleft())
        self._sent.extend(taken)
        self.sent_until = max(self.sent_until, before)
        return taken

    def take_again(self, before: int) -> list[Block]:
        """As ``take``, but only those that are made anew."""
        return self.take(min(before, self.sent_until))

    def unit(self, stream: str, epoch: int, block: Block) -> Unmade:
        """The packet of a block that was taken; to be made in the order of the blocks, by one thread.

        None where it would come too late: a worker that has too much to do falls behind by so much, and no further.
        """
        encode = self._opus.encode  # the block's, whichever comes after it

        def make() -> Unit | None:
            if block.at + PATIENCE_PACKETS * OPUS_SAMPLES < self._now:
                return None
            return Unit(stream, epoch, Codec.OPUS, block.at, keyframe=True, data=encode(block.play))

        return make

    def advance(self, now: int) -> None:
        """It is ``now``: what was sent for more than a second ago will not be cut."""
        self._now = now
        while self._sent and self._sent[0].at < now - AUDIO_HZ:
            self._sent.popleft()

    @property
    def remembered(self) -> int | None:
        """The first block that can be cut, if there is one."""
        return next((block.at for blocks in (self._sent, self._ahead) for block in blocks), None)

    def marks_ahead(self, before: int) -> list[Mark]:
        """The marks of blocks before ``before`` that are yet to be sent, which then have none."""
        ahead = [block for block in self._ahead if block.at < before]
        for index, block in enumerate(ahead):
            self._ahead[index] = replace(block, marks=())
        return [mark for block in ahead for mark in block.marks]

    def cut(self, at: int, stays: Stays) -> Cut:
        """Cut at a block that is made and remembered; ``take_again`` and ``take`` hand out what is heard instead."""
        sent = [block for block in self._sent if block.at >= at]
        ahead = [block for block in self._ahead if block.at >= at]
        made = cut([*sent, *ahead], len(sent), stays)
        for _ in sent:
            self._sent.pop()
        for _ in ahead:
            self._ahead.pop()
        self._ahead.extend(made.blocks)
        if sent:
            self._opus = LateOpus([block.play for block in list(self._sent)[-PRIMED_WITH:]])
        return made
