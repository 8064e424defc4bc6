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
    lip_rim: tuple[int, int] = (0xB4665A, 0xB4625A)
    """Where lips fade into skin: far out, and close by."""
    lip_upper: tuple[int, int, int] = (0xC8736A, 0xB85E57, 0x94433F)
    """From the outer edge to the inner one."""
    lip_lower: tuple[int, int, int, int] = (0x9C4A47, 0xBE625C, 0xD07A70, 0xC06C62)
    """From the inner edge to the outer one."""
    lip_glint: int = 0xFFE4DA
    fullness: float = 1.0
    """How thick the lips are, as a factor: no colour, but the live mouth needs it as it needs these."""
    cavity: int = 0x1C0709
    cavity_back: int = 0x38100F
    tongue: int = 0xA2464C
    tongue_light: int = 0xCE797C
    tooth: int = 0xF7F3EC
    hair: tuple[int, ...] = (0x150C0B, 0x2A1814, 0x452A20, 0x6A4330, 0x94644A, 0xC09070)
    brow: int = 0x38231B
    brow_fine: int = 0x5A3C2E
    """Of every other hair."""
    brow_powder: int = 0x7A5645
    """Multiplied under them."""
    lash: int = 0x1C1110
    iris: tuple[int, ...] = (0x21170F, 0x573D24, 0x8A683C, 0xBC965C)
    """From the limbal ring inwards to the light at the pupil's foot."""
    coat: tuple[int, ...] = (0x0F1524, 0x1B2439, 0x2C3954, 0x495A7A)
    blouse: tuple[int, ...] = (0xA9ABB6, 0xDFDDE0, 0xF8F4F0)
    backdrop: tuple[int, ...] = (0xE9EEF3, 0xC3D0DC, 0x8FA3B5, 0x6F8799)


NOVA: Final = Palette()
JONAH: Final = Palette(
    skin=(0x20100C, 0x48271C, 0x6D4130, 0x8E5C43, 0xAA7658, 0xC69472, 0xE6BE9A),
    blush=0xC98468,
    lip_light=0xC98E7E,
    lip_dark=0x5E322C,
    lip_line=0x4E2622,
    lip_rim=(0x8A5546, 0x865044),
    lip_upper=(0x8E5648, 0x7E493F, 0x6A3B34),
    lip_lower=(0x77443D, 0x9A5F54, 0xB0766A, 0x97604F),
    lip_glint=0xF2CDBC,
    fullness=1.14,
    cavity=0x180708,
    cavity_back=0x2E0E0D,
    hair=(0x060404, 0x0F0A09, 0x1B1310, 0x2C201B, 0x453530, 0x6A564C),
    brow=0x140C0A,
    brow_fine=0x241711,
    brow_powder=0x4A3028,
    lash=0x0C0706,
    iris=(0x120905, 0x321C0F, 0x57361D, 0x7E5430),
    coat=(0x5E3A0E, 0x94621B, 0xC48E31, 0xE6BD68),
    blouse=(0xB4B0A8, 0xE4E0D8, 0xF7F4EE),
    backdrop=(0xDCE7E0, 0xAFC8BC, 0x769B8C, 0x557A6D),
)
PALETTES: Final = {"nova": NOVA, "jonah": JONAH}
"""By the names that avatar.json has."""


def rgb(colour: int) -> tuple[float, float, float]:
    """Red, green and blue in 0..255."""
    return float(colour >> 16), float(colour >> 8 & 255), float(colour & 255)


def css(colour: int) -> str:
    """The colour as SVG writes it."""
    return f"#{colour:06x}"
