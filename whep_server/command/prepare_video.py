"""Make an avatar of a video or photo on this machine, without a server."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from avatar.footage import FPS
from avatar.messages import PrepareAvatar
from avatar.prepare import Step
from avatar.preparer import CannotPrepare, check_name, fresh_avatar
from avatar.quality import PREVIEW, SEAM, THERE_AND_BACK, Quality
from whep_server.live.gallery import sizes_of
from whep_server.live.worker_terms import worker_config
from whep_server.settings import Settings

FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made."""

    video: Path
    """Or a photo."""
    name: str
    title: str
    engine: str
    landmarks: Path | None
    replace: bool


def run(settings: Settings, wanted: Wanted) -> int:
    """The exit status."""
    console = Console(stderr=True, highlight=False)
    landmarks = "" if wanted.landmarks is None else str(wanted.landmarks)
    job, sizes = secrets.token_hex(8), sizes_of(settings)
    order = PrepareAvatar(job, wanted.name, wanted.title, str(wanted.video), sizes, wanted.engine, landmarks)
    try:
        return _prepare(settings, order, wanted.replace)
    except CannotPrepare as error:
        console.print(error.detail, style="red", markup=False, soft_wrap=True)
    except OSError as error:
        console.print(f"{error.filename or settings.avatars}: {error.strerror}", style="red", markup=False)
    return FAILED


def _prepare(settings: Settings, order: PrepareAvatar, replace: bool) -> int:
    console = Console(highlight=False)
    check_name(settings.assets / "avatars", order.avatar)
    directory = settings.avatars / order.avatar
    if directory.exists() and not replace:
        Console(stderr=True).print(f"{order.avatar} is there already; --replace makes it anew", style="red")
        return FAILED

    def heard(step: Step) -> None:
        console.print(f"{100 * step.done:3.0f} %  {step.stage}", markup=False)

    with fresh_avatar(settings.avatars, order, worker_config(settings).musetalk, heard) as fresh:
        fresh.install()
    for note in fresh.made.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    _report(console, fresh.made.quality)
    seconds = fresh.made.pictures / FPS
    console.print(f"{order.avatar} is in {directory}: {seconds:.0f} s", markup=False, soft_wrap=True)
    console.print(f"look at {directory / PREVIEW}", markup=False, soft_wrap=True)
    console.print(f"show it: whep-avatar serve --avatar {order.avatar}", markup=False)
    return 0


def _report(console: Console, quality: Quality) -> None:
    """The figures in a line, then what could be better."""
    seam = f"closes with a step {quality.seam:.1f} times the usual one" if quality.loop == SEAM else THERE_AND_BACK
    console.print(
        f"quality: face {quality.face_width} pixels wide, {quality.face_part:.0%} of the picture's shorter side, "
        f"sharpness {quality.sharpness:.0f}, hidden {quality.hidden:.0%}, mouth moves {quality.mouth_moves:.3f}; "
        f"loop {seam}",
        markup=False,
        soft_wrap=True,
    )
    for note in quality.notes:
        console.print(f"better: {note}", markup=False, soft_wrap=True)
