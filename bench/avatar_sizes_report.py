"""What avatars take, as a table and as JSON."""

import dataclasses
import json

import msgspec

from bench.avatar_sizes import MOST_DISK_BYTES, MOST_HELD_BYTES, USUAL_S, AvatarSize, SizeFigures
from bench.figures import table

MB = 10**6


def as_json(figures: SizeFigures) -> str:
    """One object."""
    avatars = [msgspec.to_builtins(each) | {"fits": each.fits} for each in figures.avatars]
    return json.dumps({"machine": dataclasses.asdict(figures.machine), "avatars": avatars}, indent=2)


def as_text(figures: SizeFigures) -> str:
    """Markdown."""
    head = ["avatar", "engine", "size", "film s", "disk MB", "memory MB", "process grew MB", "load s", "within"]
    return "\n\n".join(
        [
            str(figures.machine),
            table(head, [_row(each) for each in figures.avatars]),
            f"Within: an avatar of {USUAL_S:g} s shall take {MOST_DISK_BYTES // MB} MB on disk and "
            f"{MOST_HELD_BYTES // MB} MB in memory at most; others in proportion.",
        ]
    )


def _row(each: AvatarSize) -> list[str]:
    film = f"{each.seconds:g}{', there and back' if each.there_and_back else ''}"
    sizes = [f"{taken / MB:.1f}" for taken in (each.disk_bytes, each.held_bytes, each.grown_bytes)]
    shown = f"{each.width}x{each.height}"
    return [each.name, each.engine, shown, film, *sizes, f"{each.load_s:.1f}", "yes" if each.fits else "no"]
