"""What arguments of ``whep-avatar bench`` may be, each refused with what it should have been."""

import re
from pathlib import Path
from typing import Annotated

import typer

from whep_server.settings import FRAME_RATES, Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def parse_size(value: str) -> tuple[int, int]:
    """``1280x720`` as (width, height). Errors: typer.BadParameter."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", value)
    if match is None:
        raise typer.BadParameter("WIDTHxHEIGHT is needed, as in 1280x720")
    return int(match[1]), int(match[2])


def shown_size(settings: Settings, value: str) -> tuple[int, int]:
    """A size that the avatar of these settings has. Errors: typer.BadParameter."""
    from avatar.prepared import AvatarInvalid, find_avatar, read_manifest

    size = parse_size(value)
    try:
        manifest = read_manifest(find_avatar(settings.assets / "avatars", settings.avatar))
    except AvatarInvalid as error:
        raise typer.BadParameter(str(error)) from None
    sizes = [(each.width, each.height) for each in manifest.sizes]
    if size not in sizes:
        there = ", ".join(f"{width}x{height}" for width, height in sizes)
        raise typer.BadParameter(f"{settings.avatar} can be shown at {there}")
    return size


def parse_counts(value: str) -> list[int]:
    """``1,10,25`` as ascending counts, each above 0. Errors: typer.BadParameter."""
    if re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", value) is None:
        raise typer.BadParameter("numbers with commas between are needed, as in 1,10,25")
    return sorted({int(count) for count in value.split(",")})


def check_rate(fps: int) -> int:
    """One of the rates that streams have. Errors: typer.BadParameter."""
    if fps not in FRAME_RATES:
        raise typer.BadParameter(f"must be one of {', '.join(map(str, FRAME_RATES))}")
    return fps


def check_marks(document: Path) -> None:
    """Say at once, and not after 20 minutes, where tables have no place. Errors: typer.BadParameter."""
    from bench.everything import inserted

    try:
        inserted(document.read_text("utf-8"), "")
    except ValueError as error:
        raise typer.BadParameter(f"{document}: {error}") from None


Size = Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the picture; the avatar must have it.")]
Rate = Annotated[int, typer.Option(callback=check_rate, help="Frames a second: 10, 15, 20, 25 or 30.")]
