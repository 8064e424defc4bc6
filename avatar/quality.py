"""What was made of a user's video, in figures, and in words where they say that another video would be better.

``avatar.appraise`` measures it; here is only its form, which server and worker share.
"""

from typing import Final

import msgspec

FILE: Final = "quality.json"
PREVIEW: Final = "preview.jpg"
"""Both lie in the avatar's directory, and are no part of it: what a viewer sees does not change with them."""
THERE_AND_BACK: Final = "there and back"
SEAM: Final = "seam"


class Quality(msgspec.Struct, frozen=True):
    """How good an avatar can be that is made of this video or photo."""

    face_width: int
    """From ear to ear about. Units: pixels of the video. Good: 150 or more."""
    face_part: float
    """The same as a part of the picture's shorter side. Good: 0.2 or more."""
    sharpness: float
    """Variance of the Laplacian of the face, brought to 160 pixels, in grey levels squared. Good: 60 or more."""
    seam: float
    """The step where the loop closes, as a multiple of the usual one from picture to picture, a second about it.

    Steps are mean differences in grey levels. 0 where it is shown there and back: that has no seam. Good: up to 1.5."""
    loop: str
    """``there and back`` or ``seam``: how it comes to its beginning again."""
    hidden: float
    """Part of the searched pictures in which the face was not seen, or was covered. Good: 0; up to 0.1."""
    mouth_moves: float
    """How far lower and upper lip move apart while they should rest, in half widths of the mouth. Good: up to 0.08."""
    notes: list[str]
    """What could be better, and how; empty where all is well."""
