"""How much delay a live source's packets need, and whether it has too much or too little of it. Pure.

What counts is by how much the tightest packet of a few seconds was in time. Where all were early by more than is
needed, the delay is too long: the network has calmed down, or the sender's clock is the faster one. Where one was
almost late, or came when its time was over, it is too short.
"""

from typing import Final

from avatar.messages import AUDIO_HZ
from avatar.splice import CHANGE

MARGIN: Final = AUDIO_HZ * 20 // 1000
"""By how much the tightest packet is to be in time: 20 ms, which a calm network's jitter stays below."""
TIGHT: Final = AUDIO_HZ * 5 // 1000
"""A packet that was in time by less than 5 ms announces one that will not be."""
WINDOW: Final = AUDIO_HZ * 3
"""Packets are looked at for 3 s before the delay is made shorter: longer than the usual hiccups are apart."""
PATIENCE: Final = AUDIO_HZ
"""A quiet place to change the sound is waited for so long: there is one in every second of speech."""


class Pace:
    """Told of packets and of the time that passes, both in 48 kHz samples."""

    def __init__(self) -> None:
        self._lowest: int | None = None
        self._window = self._waited = 0
        self._change = 0

    def arrived(self, slack: int) -> None:
        """A packet was in time by that much; below zero, it had to be waited for."""
        self._lowest = slack if self._lowest is None else min(self._lowest, slack)

    def missed(self, lateness: int) -> None:
        """A packet came when what follows it had been played: too late by that much."""
        self.arrived(-lateness)
        self._change, self._waited = min(self._change, -min(lateness, CHANGE)), PATIENCE

    def passed(self, samples: int) -> None:
        """So much was played."""
        self._window += samples
        if self._change:
            self._waited += samples
        if self._window >= WINDOW:
            self._judge()

    def _judge(self) -> None:
        lowest, self._lowest, self._window = self._lowest, None, 0
        if lowest is None:  # a silent sender; nothing is known of the network
            return
        if lowest >= MARGIN + CHANGE:
            self._want(lowest - MARGIN)
        elif 0 <= lowest < TIGHT:
            self._want(-CHANGE // 2)
        else:
            self._want(0)

    def _want(self, change: int) -> None:
        if change * self._change <= 0:
            self._waited = 0
        self._change = change

    def due(self) -> int:
        """What is wanted of the sound now: above zero that it be shortened, below that it be lengthened.

        Once ``PATIENCE`` is over anywhere, before that only where it is quiet: see ``urgent``.
        """
        return self._change

    @property
    def urgent(self) -> bool:
        """Whether a quiet place was waited for in vain."""
        return self._waited >= PATIENCE

    def changed(self, samples: int) -> None:
        """The delay was made shorter by that much, or longer where it is below zero."""
        left = self._change - samples
        # at least half of CHANGE is done at a time; and what is overdone is not undone
        self._change = left if left >= CHANGE or left <= -CHANGE // 2 else 0
        self._waited = 0
