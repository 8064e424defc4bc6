"""The register of clauses, ``clauses.toml``: what the texts ask for, in our words, by the ids that are cited."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REGISTER: Final = Path(__file__).with_name("clauses.toml")
SOURCES: Final = {"I": "RFC 9725", "E": "draft-ietf-wish-whep-04", "X": "WHEP extensions, working text"}


@dataclass(frozen=True, slots=True)
class Clause:
    """One requirement."""

    id: str
    level: str
    """As the text has it: MUST, SHOULD, MAY; ``-`` where only a figure shows it."""
    section: str
    text: str
    claimed: bool
    """Whether whep-avatar's server claims it: then its code and at least one check cite it."""
    reason: str
    """Why it is not claimed."""

    @property
    def source(self) -> str:
        """The text that it is from."""
        return SOURCES[self.id[0]]


def read_clauses() -> dict[str, Clause]:
    """All clauses by id, in the register's order."""
    read = tomllib.loads(REGISTER.read_text("utf-8"))
    return {
        name: Clause(
            id=name,
            level=entry["level"],
            section=entry["section"],
            text=entry["text"],
            claimed=entry["claimed"],
            reason=entry.get("reason", ""),
        )
        for name, entry in read.items()
    }
