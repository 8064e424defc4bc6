"""All mutants: for each check at least one server that it must turn red on."""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

from conformance.mock import mutants_http, mutants_offers, mutants_sessions
from conformance.mock.rewriting import Mutant

HTTP_MUTANTS: Final[tuple[Mutant, ...]] = (
    *mutants_offers.MUTANTS,
    *mutants_sessions.MUTANTS,
    *mutants_http.MUTANTS,
)
"""Of checks over HTTP alone."""
LIVE_MODULE: Final = "conformance.mock.live_mutants"


def mutated_checks() -> frozenset[str]:
    """The ids of the checks that have a mutant, live ones too where they are installed."""
    found = {mutant.check for mutant in HTTP_MUTANTS}
    if find_spec(LIVE_MODULE) is not None:
        found |= {mutant.check for mutant in import_module(LIVE_MODULE).MUTANTS}
    return frozenset(found)
