"""How long a token lets stay: what would never end by itself ends when the token does that let it in.

That is WebSockets and event streams. What is bounded otherwise goes on: a body, a film, and a peer connection, whose
viewer needs a token to begin only, as RFC 9725 section 4.7 has it. What is held by a capability, or where nobody asks
for a token, ends by itself alone.
"""

import asyncio
import math
import time
from typing import Final

from litestar.types import Scope as AsgiScope

KEY: Final = "lease_until_s"
LOOK_S: Final = 30.0
"""Clocks are set: how long is left is looked at so often."""
OVER: Final = "the token that let it in has expired"


class Lease:
    """Until when. Units: seconds since 1970."""

    def __init__(self, until_s: float = math.inf) -> None:
        self._until_s = until_s

    async def until_over(self) -> None:
        """Until its end; for ever where there is none."""
        left_s = self._until_s - time.time()
        while left_s > 0:
            await asyncio.sleep(min(left_s, LOOK_S))
            left_s = self._until_s - time.time()


def note_lease(scope: AsgiScope, until_s: float | None) -> None:
    """What the door has seen of a request's token. Units: seconds since 1970; None: it never ends."""
    scope["state"][KEY] = until_s


def lease_of(scope: AsgiScope) -> Lease:
    """That of a request that was let in."""
    until_s: float | None = scope["state"].get(KEY)
    return Lease(math.inf if until_s is None else until_s)
