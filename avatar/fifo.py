"""Samples in, exact counts of samples out."""

from collections import deque

import numpy as np
from numpy.typing import NDArray


class Fifo:
    """A queue of samples of one kind. Not bounded: whoever appends looks at ``count``."""

    def __init__(self, kind: type[np.int16] | type[np.float32]) -> None:
        self._parts: deque[NDArray[np.int16 | np.float32]] = deque()
        self._kind = kind
        self.count = 0

    def append(self, part: NDArray[np.int16 | np.float32]) -> None:
        """Add samples at the end."""
        if len(part):
            self._parts.append(part)
            self.count += len(part)

    def take(self, count: int) -> NDArray[np.int16 | np.float32]:
        """The first ``count`` samples, or all there are."""
        taken: list[NDArray[np.int16 | np.float32]] = []
        wanted = min(count, self.count)
        self.count -= wanted
        while wanted:
            part = self._parts.popleft()
            if len(part) > wanted:
                self._parts.appendleft(part[wanted:])
                part = part[:wanted]
            wanted -= len(part)
            taken.append(part)
        return np.concatenate(taken) if taken else np.zeros(0, self._kind)

    def peek(self, count: int) -> NDArray[np.int16 | np.float32]:
        """The first ``count`` samples, or all there are; they stay."""
        left = min(count, self.count)
        peeked: list[NDArray[np.int16 | np.float32]] = []
        for part in self._parts:
            if left <= 0:
                break
            peeked.append(part[:left])
            left -= len(part)
        return np.concatenate(peeked) if peeked else np.zeros(0, self._kind)
