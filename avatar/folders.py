"""Avatars' directories on disk, ours and those of the MuseTalk API server: told apart, listed, loaded."""

import logging
from pathlib import Path

from avatar.engines.musetalk.original_avatar import is_original, load_original, sizes_offered, title_of
from avatar.prepared import AvatarInvalid, PreparedAvatar, find_avatar, is_name, load_prepared, read_manifest
from avatar.user_avatars import AvatarInfo

log = logging.getLogger(__name__)

MANIFEST = "avatar.json"


def find_folder(root: Path, name: str) -> Path:
    """The directory of the avatar ``name`` under ``root``. Errors: AvatarInvalid for no such avatar or no such name."""
    return root / name if is_name(name) and _is_foreign(root / name) else find_avatar(root, name)


def _is_foreign(directory: Path) -> bool:
    return not (directory / MANIFEST).is_file() and is_original(directory)


def engine_of(directory: Path) -> str:
    """Which engine it is for. Errors: AvatarInvalid."""
    return "musetalk" if _is_foreign(directory) else read_manifest(directory).engine


def size_on_disk(directory: Path) -> int:
    """Units: bytes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def describe(directory: Path, usual_size: tuple[int, int], *, shipped: bool) -> AvatarInfo:
    """What it is, without its pictures. Errors: AvatarInvalid."""
    if _is_foreign(directory):
        sizes = sizes_offered(directory, usual_size)
        return AvatarInfo(directory.name, title_of(directory), "musetalk", sizes, shipped)
    manifest = read_manifest(directory)
    sizes = [(entry.width, entry.height) for entry in manifest.sizes]
    return AvatarInfo(directory.name, manifest.title, manifest.engine, sizes, shipped, manifest.poses)


def load_folder(directory: Path, size: tuple[int, int]) -> PreparedAvatar:
    """The avatar at one size. Errors: AvatarInvalid."""
    return load_original(directory, size) if _is_foreign(directory) else load_prepared(directory, size)


def folders(root: Path) -> list[Path]:
    """All that look like an avatar's, but for those that are being made."""
    if not root.is_dir():
        return []
    shown = (path for path in sorted(root.iterdir()) if not path.name.startswith(".") and path.is_dir())
    return [path for path in shown if (path / MANIFEST).exists() or is_original(path)]


def listed(root: Path, usual_size: tuple[int, int], *, shipped: bool) -> list[AvatarInfo]:
    """All avatars under ``root`` that are whole, as far as can be told at a glance; others are logged and left out."""
    found: list[AvatarInfo] = []
    for path in folders(root):
        try:
            found.append(describe(find_folder(root, path.name), usual_size, shipped=shipped))
        except AvatarInvalid as error:
            log.warning("avatar %s is left out: %s", path.name, error)
    return found
