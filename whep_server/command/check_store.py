"""Whether what a server reads and writes is there: what is shipped, avatars, the cache of idle loops."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from whep_server.command.findings import Finding, probe
from whep_server.settings import PREFIX, Settings

CACHE_BYTES: Final = 200 * 1024 * 1024
"""Ten streams' idle loops: five phases of 8 s at 0.1 to 0.4 MB/s in two codecs."""

AVATAR_PROBE: Final = """
import json, sys
from pathlib import Path
from avatar.folders import describe, folders, load_folder
from avatar.prepared import AvatarInvalid
found, wrong = {}, {}
*roots, width, height = sys.argv[1:]
for root in map(Path, roots):
    for folder in folders(root):
        if folder.name in found:
            continue
        try:
            for size in describe(folder, (int(width), int(height)), shipped=False).sizes:
                found[folder.name] = load_folder(folder, size).digest[:12]
        except (AvatarInvalid, MemoryError) as error:
            wrong[folder.name] = str(error) or type(error).__name__
print(json.dumps({"found": found, "wrong": wrong}))
"""
"""Decodes every picture of every size, and hashes all that a viewer could see."""


def check_assets(settings: Settings) -> Iterator[Finding]:
    """What ships with the package."""
    assets = settings.assets
    wanted = [
        assets / "viseme" / "weights.pt",
        assets / "player" / "player.js",
        assets / "speech" / "index.json",
        settings.templates / "player.html",
        settings.templates / "landing.html",
    ]
    missing = [str(path) for path in wanted if not (path.is_file() and os.access(path, os.R_OK))]
    fix = f"reinstall the package, or set {PREFIX}ASSETS and {PREFIX}TEMPLATES to where they are"
    yield Finding("assets", not missing, f"cannot read {', '.join(missing)}" if missing else str(assets), fix)


def check_avatars(settings: Settings) -> Iterator[Finding]:
    """Every avatar, loaded whole; and whether new ones could be kept."""
    shipped = settings.assets / "avatars"
    size = str(settings.width), str(settings.height)
    seen = probe(AVATAR_PROBE, str(shipped), str(settings.avatars), *size)
    if isinstance(seen, str):
        yield Finding("avatars", False, seen, "see the lines about imports and assets")
        return
    found, wrong = (dict(part) if isinstance(part := seen[name], dict) else {} for name in ("found", "wrong"))
    loaded = ", ".join(f"{name} ({digest})" for name, digest in found.items() if name not in wrong)
    if settings.avatar not in found and settings.avatar not in wrong:
        says = f"there is no {settings.avatar}; there are: {loaded or 'none'}"
        yield Finding("avatars", False, says, f"set {PREFIX}AVATAR to one of them, or make it: whep-avatar prepare")
    elif settings.avatar not in wrong:
        yield Finding("avatars", True, f"loaded, every picture of every size: {loaded}")
    for name, why in wrong.items():
        fix = f"make it anew (whep-avatar prepare --replace) or delete {settings.avatars / name}"
        fix = "reinstall the package" if (shipped / name).exists() else fix
        yield Finding("avatars", False, f"{name} is damaged: {why}", fix, fatal=name == settings.avatar)
    try:
        writable(settings.avatars)
    except OSError as error:
        says = f"new ones cannot be kept in {settings.avatars}: {error.strerror}"
        yield Finding("avatars", False, says, f"name another folder: {PREFIX}AVATARS=/path", fatal=False)


def check_cache(settings: Settings) -> Iterator[Finding]:
    """Where encoded idle loops are kept."""
    folder = settings.cache
    fix = f"name another folder: {PREFIX}CACHE=/path"
    try:
        writable(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("cache", False, f"{folder} cannot be written: {error.strerror}", fix)
        return
    enough = free >= CACHE_BYTES
    yield Finding("cache", enough, f"{folder}, {free // 2**20} MiB free", f"free some space, or {fix}", fatal=False)


def writable(folder: Path) -> None:
    """Make a folder where there is none, and write into it. Errors: OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
