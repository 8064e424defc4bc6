"""The colours of the portrait, in one place: the baked layers and the live mouth must agree on them.

Colours are 0xRRGGBB in the loose sRGB sense of video: what ``compose`` turns into BT.601 limited range.
The inside of the mouth is chosen so that it can be told from lips in compressed video: the cavity is far darker, teeth
are far brighter and paler than any lip (``measure``).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Palette:
    """One character's colours."""

    skin: tuple[int, ...] = (0x5A2A22, 0x9C5A45, 0xC98B6C, 0xE4AE8C, 0xF3C9A9, 0xFBDFC6, 0xFFF0DF)
    """From deepest shadow to highlight, evenly spaced over the shading value."""
    blush: int = 0xE07F6C
    lip_light: int = 0xE9A093
    lip_dark: int = 0x8E3D3C
    lip_line: int = 0x5C2022
    cavity: int = 0x1C0709
    cavity_back: int = 0x38100F
    tongue: int = 0xA2464C
    tongue_light: int = 0xCE797C
    tooth: int = 0xF7F3EC
    hair: tuple[int, ...] = (0x150C0B, 0x2A1814, 0x452A20, 0x6A4330, 0x94644A, 0xC09070)
    brow: int = 0x38231B
    lash: int = 0x1C1110
    iris: tuple[int, ...] = (0x21170F, 0x573D24, 0x8A683C, 0xBC965C)
    """From the limbal ring inwards to the light at the pupil's foot."""
    coat: tuple[int, ...] = (0x0F1524, 0x1B2439, 0x2C3954, 0x495A7A)
    blouse: tuple[int, ...] = (0xA9ABB6, 0xDFDDE0, 0xF8F4F0)
    backdrop: tuple[int, ...] = (0xE9EEF3, 0xC3D0DC, 0x8FA3B5, 0x6F8799)


NOVA: Final = Palette()


def rgb(colour: int) -> tuple[float, float, float]:
    """Red, green and blue in 0..255."""
    return float(colour >> 16), float(colour >> 8 & 255), float(colour & 255)


def css(colour: int) -> str:
    """The colour as SVG writes it."""
    return f"#{colour:06x}"
