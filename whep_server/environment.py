"""The environment's variables: which are read as settings, and which other people's programs get to see."""

import os
from typing import Final

from pydantic import AliasChoices

from whep_server.settings import CONFIG_VARIABLE, PREFIX, Settings

LENT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "ESPEAK_DATA_PATH", "TMPDIR")


def variables() -> list[str]:
    """The name of every environment variable that is read."""
    names = [CONFIG_VARIABLE]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        named = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else []
        names += named or [f"{PREFIX}{name.upper()}"]
    return names


def unknown_variables() -> list[str]:
    """Those of the environment that are called as ours are and that nobody reads."""
    ours = [name for name in sorted(os.environ) if name.upper().startswith((PREFIX, "WEBRTC_"))]
    return [name for name in ours if name.upper() not in variables()]


def lent_environment() -> dict[str, str]:
    """What other people's programs get of the environment: what they need to find their files, and no secret."""
    return {name: os.environ[name] for name in LENT if name in os.environ}
