"""What the UNet hears at a frame: states of Whisper's encoder about it, from windows that overlap as speech comes.

The original encodes a whole file, 30 s at a time. Here a window begins at the start of the stretch and holds what was
heard so far, silence after it; where it is nearly full it moves on by half its length, so that later steps, too, have
half a window before them. Each turn of a stream encodes its window anew: 37 GFLOP beside the 800 of each face, and in
exchange a frame is the work of one window alone and going back costs nothing.
Source: for which steps a frame takes, the original server's fixed conditioning: the ten from 80 ms before its time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar.engines.musetalk.networks import Networks
from avatar.engines.musetalk.whisper_mel import WhisperMel, scaled

STEP_RATE: Final = 50
"""Units: steps a second."""
STEPS: Final = 10
"""That a frame hears."""
BEFORE: Final = 4
"""Of them, so many lie before its own time; the original pads a file's beginning with as many of zeros."""
LOOKAHEAD: Final = 2400
"""Samples: 150 ms. The last step's own sound ends 132 ms after the frame's time; the rest is for Whisper to look at."""
_FRAMES_A_STEP: Final = 2


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows lie. Units: steps."""

    positions: int
    """Length of each."""

    @property
    def full(self) -> int:
        """Steps of a window that may be used; after them there is always silence, as after a file."""
        return self.positions - self.positions // 15

    @property
    def hop(self) -> int:
        """From one window's start to the next."""
        return self.full // 2

    @property
    def kept_s(self) -> float:
        """How much must be remembered for the latest of them."""
        return (self.positions + self.hop) / STEP_RATE

    def start(self, last: int) -> int:
        """Of the window in which step ``last`` is heard: the first that is not too short for it."""
        return max(0, -(-(last + 1 - self.full) // self.hop)) * self.hop


@dataclass(eq=False, slots=True)
class Window:
    """What a stream had heard when it was asked for frames. Shapes: mel (80, 2 P), scaled."""

    start: int
    mel: NDArray[np.float32]
    states: Tensor | None = None
    """Shapes: (P, states, D), once they were encoded."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame's place in a window."""

    window: Window
    first: int
    """The first of its steps, counted from the start of the stretch; negative at its beginning."""


def first_step(frame: int, fps: int) -> int:
    """Of those that a frame hears."""
    return frame * STEP_RATE // fps - BEFORE


def moments(mel: WhisperMel, windows: Windows, frames: Sequence[int], fps: int) -> list[Moment]:
    """Where to hear frames, with as few windows as there can be. Pushed samples must suffice for them."""
    made: dict[int, Window] = {}
    found: list[Moment] = []
    for frame in frames:
        first = first_step(frame, fps)
        start = windows.start(first + STEPS - 1)
        if start not in made:
            heard = mel.window(start * _FRAMES_A_STEP, windows.positions * _FRAMES_A_STEP)
            made[start] = Window(start, scaled(heard))
        found.append(Moment(made[start], first))
    return found


class Hearing:
    """Whisper's encoder, and how its states become what the UNet attends to. One thread calls it."""

    def __init__(self, networks: Networks, device: torch.device, dtype: torch.dtype) -> None:
        self._encoder = networks.hearing
        self._device, self._dtype = device, dtype
        self._places = _sinusoids(STEPS * networks.states, networks.width).to(device, dtype)
        self._positions = networks.positions

    def hear(self, heard: Sequence[Moment]) -> Tensor:
        """What each frame hears; windows that are new are encoded together. Shapes: -> (B, 10 x states, D)."""
        new = list({id(each.window): each.window for each in heard if each.window.states is None}.values())
        if new:
            mel = torch.from_numpy(np.stack([window.mel for window in new]))
            for window, states in zip(new, self.encode(mel), strict=True):
                window.states = states
        return torch.stack([self._tokens(each) for each in heard]) + self._places

    def encode(self, mel: Tensor) -> Tensor:
        """All states of all steps. Shapes: (B, 80, 2 P) -> (B, P, states, D)."""
        given = mel.to(self._device, self._dtype, non_blocking=True)
        made = self._encoder(given, output_hidden_states=True).hidden_states
        return torch.stack(made, dim=2)

    def _tokens(self, moment: Moment) -> Tensor:
        """Steps before the stretch are zeros. Shapes: -> (10 x states, D)."""
        states = moment.window.states
        assert states is not None, "its window is encoded"
        before = max(0, -moment.first)
        at = moment.first + before - moment.window.start
        steps = states[at : at + STEPS - before]
        if before:
            steps = torch.cat([steps.new_zeros(before, *steps.shape[1:]), steps])
        return steps.flatten(0, 1)


def _sinusoids(count: int, width: int) -> Tensor:
    """Places in a sequence (Vaswani et al., Attention Is All You Need, 3.5). Shapes: -> (count, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(count)[:, None] * rates
    places = torch.zeros(count, width)
    places[:, 0::2], places[:, 1::2] = torch.sin(angles), torch.cos(angles)
    return places
