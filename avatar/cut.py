"""What an interruption makes of the blocks of a stretch: who was speaking fades out, and nobody else begins. Pure.

All that was told for the time from the cut on is void, and told anew where it still holds: an utterance's start at the
cut or after it, anything else after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.timeline import GAP_BLOCKS, Block, Finished, Mark, Started, Stays

FADE_OUT: Final = AUDIO_HZ * 15 // 1000
"""A voice that is cut off is gone within 15 ms: as fast as it can be without sounding like a fault."""
PAUSE: Final = (1 + GAP_BLOCKS) * OPUS_SAMPLES
"""From the cut to the next utterance: the block with the fade, and a breath."""

_FALL: Final = (1 + np.cos(np.pi * (np.arange(FADE_OUT) + 0.5) / FADE_OUT)) / 2


@dataclass(frozen=True, slots=True)
class Cut:
    """An interruption. Units: 48 kHz samples on the stream's clock."""

    utterance: str | None
    """The one that was being spoken and is over; None where nobody was."""
    media_time: int
    """Its last sample is played before this."""
    samples: int
    """How many samples of it are played in all."""
    dropped: list[str]
    """Those that were to start at the cut or later."""
    said: list[Mark]
    """What holds for the time before it and is yet to be told."""
    blocks: list[Block]
    """What is heard from the cut on; what was made of later times than these is void."""
    silent: range
    """There nobody speaks; after it, the next utterance may start. Empty where nobody was silenced."""


def cut(blocks: Sequence[Block], told: int, stays: Stays) -> Cut:
    """Cut a stretch where ``blocks`` begin, which are all that was made from there on; whoever ``stays`` goes on.

    The marks of the first ``told`` blocks were told.
    """
    at = blocks[0].at
    ended = [_ends(block, at, stays) for block in blocks]
    silent, kept = _silence(blocks, ended)
    starts = [mark.utterance for block in blocks for mark in block.marks if isinstance(mark, Started)]
    voice = blocks[0].voice
    if voice is not None and (not ended[0] or voice.utterance in starts):
        voice = None
    begun = 0 if voice is None else voice.offset
    faded = 0 if voice is None else max(0, min(voice.samples, FADE_OUT - begun))
    return Cut(
        utterance=None if voice is None else voice.utterance,
        media_time=at + begun + faded if faded else at,
        samples=0 if voice is None else voice.before + faded,
        dropped=[name for name in starts if not stays(name)],
        said=[mark for block in blocks[told:] for mark in block.marks if not _void(mark, at)],
        blocks=[
            _again(block, at, stays, silenced=ends, fades=voice is not None)
            for block, ends in zip(blocks[:kept], ended[:kept], strict=True)
        ],
        silent=silent,
    )


def _void(mark: Mark, at: int) -> bool:
    return mark.at > at or isinstance(mark, Started)


def _ends(block: Block, at: int, stays: Stays) -> bool:
    """Whether somebody is silenced in it; not who has just finished, with his last sample before the cut."""
    if block.voice is None or stays(block.voice.utterance):
        return False
    return not any(isinstance(mark, Finished) and mark.at <= at for mark in block.marks)


def _silence(blocks: Sequence[Block], ended: Sequence[bool]) -> tuple[range, int]:
    """Where nobody speaks, and how many blocks are kept: up to its end, or all where others go on."""
    at = blocks[0].at
    if not any(ended):
        return range(at, at), len(blocks)
    first = ended.index(True)
    start = max([at, *(block.at + OPUS_SAMPLES for block in blocks[:first] if block.voice is not None)])
    rest = zip(blocks[first:], ended[first:], strict=True)
    stop = next((block.at for block, ends in rest if block.voice is not None and not ends), None)
    if stop is not None:
        return range(start, stop), len(blocks)
    stop = blocks[first].at + PAUSE
    return range(start, stop), sum(block.at < stop for block in blocks)


def _again(block: Block, at: int, stays: Stays, *, silenced: bool, fades: bool) -> Block:
    marks = tuple(mark for mark in block.marks if _void(mark, at) and stays(mark.utterance))
    if not silenced:
        return replace(block, marks=marks)
    return replace(block, play=_faded(block.play, fades=fades and block.at == at), marks=marks, voice=None)


def _faded(play: NDArray[np.int16], *, fades: bool) -> NDArray[np.int16]:
    silence = np.zeros_like(play)
    if fades:
        silence[:FADE_OUT] = np.rint(play[:FADE_OUT] * _FALL)
    return silence
