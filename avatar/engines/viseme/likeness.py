"""The measures by which one drawn person differs from another; colours are in ``palette``, hair and clothes by name.

Eyes and mouth stand in the same places in every portrait, so that one motion and one live mouth serve them all.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likeness:
    """Measures of a face. Units: design units, or factors of what the first portrait has."""

    half_outline: tuple[tuple[float, float], ...] = (
        (500, 214), (560, 222), (606, 256), (634, 312), (643, 372), (642, 430), (636, 486), (626, 532), (609, 572),
        (584, 609), (553, 635), (526, 647), (500, 650.5),
    )  # fmt: skip
    """Contour of the face from the hairline to the chin, on the right of the picture."""
    neck: float = 1.0
    """How wide."""
    nose: float = 1.0
    """How wide its wings and tip are."""
    cheeks: float = 1.0
    """How much they stand out."""
    ears: bool = False
    """Whether hair leaves them free."""
    eye: float = 1.0
    """How far the lids open."""
    lash: float = 1.0
    """How long they are."""
    brow: float = 1.0
    """How thick they are."""
    brow_arch: float = 1.0
    brow_drop: float = 0.0
    """How much lower they lie."""
    stubble: float = 0.0
    """How dark a shaved beard shows, 0..1."""
