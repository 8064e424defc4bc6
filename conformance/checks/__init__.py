"""The checks, a module a group. Each module ends with ``CHECKS``; ``all_checks`` is their sum in running order.

What a module lists in ``LATE`` runs after all others: it judges what they provoked, or waits long.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from conformance.check import Check

MODULES: Final = (
    "created",
    "endings",
    "refused",
    "audit",
    "trickle",
    "ice_restart",
    "discovery",
    "access",
    "extensions",
    "routes",
    "imitations",
)
"""In running order: first the spine, that others build on."""
LIVE_MODULES: Final = ("live_lifecycle", "live_media", "live_clients", "live_restart", "live_extensions")
"""What needs ICE, DTLS and media; left out where not installed."""


def all_checks() -> tuple[Check, ...]:
    """Every check there is, in running order."""
    names = [f"{__name__}.{name}" for name in (*MODULES, *LIVE_MODULES)]
    modules = [import_module(name) for name in names if find_spec(name) is not None]
    checks = [check for module in modules for check in module.CHECKS]
    return (*checks, *(check for module in reversed(modules) for check in getattr(module, "LATE", ())))
