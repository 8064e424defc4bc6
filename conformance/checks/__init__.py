"""The checks, a module a group. Each module ends with ``CHECKS``; ``all_checks`` is their sum in running order."""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from conformance.check import Check

MODULES: Final = ("created",)
"""In running order: first the spine, that others build on."""
LIVE_MODULES: Final = ("live_lifecycle", "live_clients", "live_restart", "live_extensions")
"""What needs ICE, DTLS and media; left out where not installed."""


def all_checks() -> tuple[Check, ...]:
    """Every check there is, in running order."""
    names = [f"{__name__}.{name}" for name in (*MODULES, *LIVE_MODULES)]
    found: list[Check] = []
    for name in names:
        if find_spec(name) is not None:
            found += import_module(name).CHECKS
    return tuple(found)
