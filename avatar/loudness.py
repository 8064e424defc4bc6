"""How loud a voice is as a rule, and which of its places are quiet: where sound can be changed and hardly be heard."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

QUIET: Final = 0.1
"""A place is quiet where it has less than this part of the voice's usual strength; 20 dB."""
SILENT: Final = 30.0
"""Root mean square below which any place is quiet: -60 dB."""


class Loudness:
    """One voice's."""

    def __init__(self) -> None:
        self._usual = 0.0

    def hear(self, sound: NDArray[np.int16]) -> None:
        """Some more of it, about 20 ms. Shapes: (n,)."""
        if not len(sound):
            return
        strength = float(_strength(sound))
        self._usual += (strength - self._usual) * (0.2 if strength > self._usual else 0.02)

    def quiet(self, sound: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Whether it is quiet there. Shapes: (n,) -> (), or (m, n) -> (m,)."""
        return np.asarray(_strength(sound) < max(SILENT, QUIET * self._usual))


def _strength(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.mean(np.square(sound, dtype=np.float64), axis=-1)))
