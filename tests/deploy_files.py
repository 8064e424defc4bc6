"""What deploy/ holds, read as the programs it is for read it, as far as is needed to hold it against the server."""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile's: its name, what follows, and in which stage it stands."""

    name: str
    rest: str
    stage: int

    @property
    def words(self) -> list[str]:
        """Its arguments, of the JSON form or of the shell's, without flags."""
        if self.rest.startswith("["):
            return list(json.loads(self.rest))
        return [word for word in shlex.split(self.rest) if not word.startswith("--")]


def dockerfile() -> list[Instruction]:
    """The instructions, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[Instruction] = []
    stage = -1
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, rest.strip(), stage))
    return found


def is_in_context(path: Path) -> bool:
    """Whether a file of the checkout is sent to the builder, as .dockerignore says: the last line that fits counts."""
    parts = path.relative_to(ROOT).parts
    ignored = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        anywhere = pattern.startswith("**/")
        names = parts if anywhere else parts[:1]
        if any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names):
            ignored = not line.startswith("!")
    return not ignored


def documents(name: str) -> list[dict[str, object]]:
    """Of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def unit_settings() -> Iterator[tuple[str, str]]:
    """Keys and values of the unit of systemd, in order; some keys come more than once."""
    for line in (DEPLOY / "whep-avatar.service").read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            yield key, value


def under(value: object, key: str) -> Iterator[object]:
    """Every value that stands under a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from under(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from under(inner, key)
