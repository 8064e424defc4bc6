"""Bring an avatar that the MuseTalk API server has prepared into our own form, on this machine, without a server."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from avatar.engines.musetalk.make_latents import MakeLatents, NoModels, check_models, latents_maker
from avatar.engines.musetalk.original_avatar import is_original, sizes_offered
from avatar.folders import size_on_disk
from avatar.prepared import AvatarInvalid
from avatar.preparer import CannotPrepare, check_name, hidden_folder, put_in_place
from whep_server.settings import Settings

FAILED: Final = 1


def run(settings: Settings, directory: Path, name: str, title: str, *, anew: bool, replace: bool) -> int:
    """The exit status."""
    console = Console(stderr=True, highlight=False)

    def refuse(reason: str) -> int:
        console.print(reason, style="red", markup=False)
        return FAILED

    try:
        check_name(settings.assets / "avatars", name)
        if not is_original(directory):
            return refuse(
                f"{directory} is no avatar's directory of the MuseTalk API server: it has no avator_info.json"
            )
        if (settings.avatars / name).exists() and not replace:
            return refuse(f"{name} is there already; --replace puts another one in its place")
        make_latents = _maker(settings) if anew else None
        return _adopt(settings, directory, name, title, make_latents)
    except CannotPrepare as error:
        return refuse(error.detail)
    except (AvatarInvalid, NoModels, ImportError) as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(f"{error.filename or settings.avatars}: {error.strerror or error}")


def _adopt(settings: Settings, directory: Path, name: str, title: str, make_latents: MakeLatents | None) -> int:
    from avatar.engines.musetalk.adopt import adopt

    console = Console(highlight=False)
    sizes = sizes_offered(directory, (settings.width, settings.height))
    say: Callable[[str], None] = lambda step: console.print(step, markup=False)  # noqa: E731
    with hidden_folder(settings.avatars, secrets.token_hex(8)) as fresh:
        pictures = adopt(directory, fresh, name, sizes, say, title=title, make_latents=make_latents)
        put_in_place(fresh, settings.avatars / name)
    before, after = (size_on_disk(folder) / 1e6 for folder in (directory, settings.avatars / name))
    console.print(f"{name}: {pictures} pictures, {after:.1f} MB instead of {before:.1f}", markup=False)
    console.print(f"show it: whep-avatar serve --avatar {name}", markup=False)
    return 0


def _maker(settings: Settings) -> MakeLatents:
    """The VAE of the models folder. Errors: NoModels, ImportError."""
    check_models(settings.musetalk_models)
    from avatar.engines.musetalk.musetalk_engine import EngineOptions

    return latents_maker(settings.musetalk_models, EngineOptions(settings.musetalk_device, settings.musetalk_precision))
