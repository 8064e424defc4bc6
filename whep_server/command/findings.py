"""What ``whep-avatar doctor`` finds, one check's outcome at a time, and scripts that look in a process of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from whep_server.settings import Settings

PROBE_S: Final = 120
"""Longest time for a script; importing torch from a cold disk takes half a minute."""


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """A server does its work, but not all of it, or not for everybody."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome."""

    check: str
    ok: bool
    says: str
    fix: str = ""
    """What to do where it is not ok."""
    fatal: bool = True
    """Whether a server cannot do its work like this."""

    @property
    def status(self) -> Status:
        """In one word."""
        if self.ok:
            return Status.OK
        return Status.FAILED if self.fatal else Status.WARNING


Check = Callable[[Settings], Iterator[Finding]]


def probe(script: str, *arguments: str) -> dict[str, object] | str:
    """What a script prints as JSON in a process of its own, which may crash, or why there is nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"nothing came back within {PROBE_S} s"
    if done.returncode != 0:
        return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    return dict(json.loads(done.stdout))
