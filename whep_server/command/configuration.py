"""The settings as a command is given them: its options first, then what ``Settings`` reads."""

import difflib
import json
import textwrap
from pathlib import Path
from typing import Final

import pydantic
from pydantic import SecretStr

from whep_server.environment import unknown_variables, variables
from whep_server.settings import ConfigFileError, Settings

MASK: Final = "**********"


class WrongSettings(ValueError):
    """The settings cannot be used. Says each that is wrong, on a line of its own, and never a value."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__("\n".join(wrong))
        self.wrong = wrong


def settings_given(**given: object) -> Settings:
    """The settings; what was ``given`` on the command line and is not None wins. Errors: WrongSettings."""
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ConfigFileError as error:
        raise WrongSettings([str(error)]) from None
    except pydantic.ValidationError as error:
        faults = error.errors(include_input=False)
        raise WrongSettings([f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults]) from None


def misspelt() -> list[str]:
    """Variables that look like ours and that nobody reads, each with what may have been meant."""
    found = []
    known = variables()
    for name in unknown_variables():
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        found.append(f"{name} ({close[0]}?)" if close else name)
    return found


def as_toml(settings: Settings) -> str:
    """The settings as a TOML file that could be read again, each with its description; secrets are masked."""
    lines: list[str] = []
    for name, field in Settings.model_fields.items():
        value: object = getattr(settings, name)
        lines += textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# ")
        if isinstance(value, SecretStr):
            lines.append(f'# {name} = "{MASK if value.get_secret_value() else ""}"')
        else:
            # a JSON string, number, truth value or array of strings is TOML, too; what is not set is read as empty
            lines.append(f"{name} = {json.dumps(str(value or '') if isinstance(value, Path | None) else value)}")
        lines.append("")
    return "\n".join(lines)
