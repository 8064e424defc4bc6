"""All mutants: for each check at least one server that it must turn red on."""

from typing import Final

from conformance.mock import mutants_http, mutants_offers, mutants_sessions
from conformance.mock.live_mutants import LIVE_MUTANTS
from conformance.mock.rewriting import Mutant

HTTP_MUTANTS: Final[tuple[Mutant, ...]] = (
    *mutants_offers.MUTANTS,
    *mutants_sessions.MUTANTS,
    *mutants_http.MUTANTS,
)
"""Of checks over HTTP alone."""
MUTATED: Final = frozenset((*(mutant.check for mutant in HTTP_MUTANTS), *(mutant.check for mutant in LIVE_MUTANTS)))
"""The ids of the checks that have a mutant."""
