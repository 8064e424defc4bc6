"""The settings as a command is given them: its options first, then what ``Settings`` reads."""

import difflib

import pydantic

from whep_server.settings import ConfigFileError, Settings, unknown_variables, variables


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
