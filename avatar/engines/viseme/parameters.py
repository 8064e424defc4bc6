"""The mouth as seven numbers: what the network says and the painter draws.

All are float32 in [0, 1], in the order of ``PARAMETERS``; a mouth is an array whose last axis has these seven.
"""

import numpy as np
from numpy.typing import NDArray

PARAMETERS = ("jaw", "wide", "round", "press", "bite", "teeth", "tongue")
"""jaw: how far it is lowered. wide: corners spread. round: lips protruded. press: lips sealed (p b m).
bite: lower lip under the upper teeth (f v). teeth: closed and seen (s sh). tongue: its tip raised and seen (l th)."""

JAW, WIDE, ROUND, PRESS, BITE, TEETH, TONGUE = range(len(PARAMETERS))

NEUTRAL: NDArray[np.float32] = np.array([0, 0.10, 0, 0, 0, 0, 0], np.float32)
"""The mouth at rest, which the idle pictures show."""
NEUTRAL.flags.writeable = False

SEAL = 1.15
"""Lips touch a little before ``press`` is full: at 1 / 1.15 no opening is left."""


def gap(mouth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The lip opening that a viewer sees: what the jaw opens, less what the lips close.

    Shapes: (..., 7) -> (...).
    """
    opening: NDArray[np.float32] = mouth[..., JAW] * np.clip(1 - SEAL * mouth[..., PRESS], 0, 1)
    return opening


def eased(mouth: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """``mouth`` at ``strength`` 1, the neutral mouth at 0, straight lines between.

    Shapes: (..., 7) -> (..., 7).
    """
    return np.asarray(NEUTRAL + np.float32(strength) * (mouth - NEUTRAL), np.float32)
