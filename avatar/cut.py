"""What an interruption makes of the blocks of a stretch: who was speaking fades out, and nobody else begins. Pure.

All that was told for the time from the cut on is void, and told anew where it still holds: an utterance's start at the
cut or after it with all that follows, anything else after it.
"""

from collections.abc import Callable, Sequence
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
    starts = {mark.utterance: None for block in blocks for mark in block.marks if isinstance(mark, Started)}

    def void(mark: Mark) -> bool:
        return mark.at > at or mark.utterance in starts

    ended = [_ends(block, stays, void) for block in blocks]
    silent, kept = _silence(blocks, ended)
    voice = blocks[0].voice if ended[0] else None
    if voice is not None and voice.utterance in starts:
        voice = None
    begun = 0 if voice is None else voice.offset
    faded = 0 if voice is None else max(0, min(voice.samples, FADE_OUT - begun))
    again = []
    for block, ends in zip(blocks[:kept], ended[:kept], strict=True):
        anew = replace(block, marks=tuple(mark for mark in block.marks if void(mark) and stays(mark.utterance)))
        if ends:
            play = _faded(block.play) if voice is not None and block.at == at else np.zeros_like(block.play)
            anew = replace(anew, play=play, voice=None)
        again.append(anew)
    return Cut(
        utterance=None if voice is None else voice.utterance,
        media_time=at + begun + faded if faded else at,
        samples=0 if voice is None else voice.before + faded,
        dropped=[name for name in starts if not stays(name)],
        said=[mark for block in blocks[told:] for mark in block.marks if not void(mark)],
        blocks=again,
        silent=silent,
    )


def _ends(block: Block, stays: Stays, void: Callable[[Mark], bool]) -> bool:
    """Whether somebody is silenced in it; not who has just finished, with his last sample before the cut."""
    if block.voice is None or stays(block.voice.utterance):
        return False
    return not any(isinstance(mark, Finished) and not void(mark) for mark in block.marks)


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


def _faded(play: NDArray[np.int16]) -> NDArray[np.int16]:
    faded = np.zeros_like(play)
    faded[:FADE_OUT] = np.rint(play[:FADE_OUT] * _FALL)
    return faded
