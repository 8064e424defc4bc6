"""Make an avatar of a video on this machine, without a server."""

import secrets
from pathlib import Path
from typing import Final

from rich.console import Console

from avatar.messages import PrepareAvatar
from avatar.prepare import Step
from avatar.preparer import CannotPrepare, check_name, fresh_avatar
from whep_server.live.gallery import sizes_of
from whep_server.settings import Settings

FAILED: Final = 1


def run(settings: Settings, video: Path, name: str, title: str, *, replace: bool) -> int:
    """The exit status."""
    console = Console(stderr=True, highlight=False)
    try:
        return _prepare(
            settings, PrepareAvatar(secrets.token_hex(8), name, title, str(video), sizes_of(settings)), replace
        )
    except CannotPrepare as error:
        console.print(error.detail, style="red", markup=False)
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

    with fresh_avatar(settings.avatars, order, heard) as fresh:
        fresh.install()
    for note in fresh.made.notes:
        console.print(f"note: {note}", markup=False)
    console.print(
        f"{order.avatar} is in {directory}: {fresh.made.pictures / 25:.0f} s of video", markup=False, soft_wrap=True
    )
    console.print(f"show it: whep-avatar serve --avatar {order.avatar}", markup=False)
    return 0
