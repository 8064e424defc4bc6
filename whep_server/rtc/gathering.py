"""What STUN and TURN servers have to say of us, and how long a viewer waits for that: no server may hold up answers.

One that is silent is waited for by one viewer, and then left alone for a while. That is known for each address of ours:
some may have no way to the server.

Relied on, read at aioice 0.13.0: ``ice.server_reflexive_candidate``; ``get_component_candidates`` without addresses
asks the TURN server alone, and gives up in silence.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

import aioice.ice
from aioice import Candidate, stun
from aioice.ice import StunProtocol

logger = logging.getLogger(__name__)

SERVER_S: Final = 2
"""A server that does not answer by then is silent. TURN over TLS takes five round trips: 1.5 s to the far side of the
earth; and of datagrams two may be lost, which are sent again after 0.5 and 1.5 s."""
REST_S: Final = 60.0
"""So long a silent server is asked by nobody; then by one viewer, who waits for it."""


class Patience:
    """Which servers are worth waiting for."""

    def __init__(self, silences: Counter[str] | None = None) -> None:
        """``silences`` counts by server how often one was waited for in vain."""
        self._silences: Counter[str] = Counter() if silences is None else silences
        self._rest_s: dict[tuple[str, str], float] = {}
        """Until when those that were silent are left alone, by server and by our address."""

    def asks(self, server: str, host: str, now_s: float) -> bool:
        """Whether to ask a server now. When a silent one is tried again, the others go on without it meanwhile."""
        if now_s < self._rest_s.get((server, host), now_s):
            return False
        if (server, host) in self._rest_s:
            self._rest_s[server, host] = now_s + REST_S
        return True

    def heard(self, server: str, host: str) -> None:
        """It has answered, be it in the negative."""
        if self._rest_s.pop((server, host), None) is not None:
            logger.info("%s answers again%s", server, f" at {host}" if host else "")

    def silent(self, server: str, host: str, now_s: float) -> None:
        """It has not."""
        self._silences[server] += 1
        self._rest_s[server, host] = now_s + REST_S
        logger.warning(
            "%s is silent%s: nobody waits for it in the next %g s", server, f" at {host}" if host else "", REST_S
        )


async def reflexive_candidates(
    protocols: Iterable[StunProtocol], server: tuple[str, int] | None, patience: Patience
) -> list[Candidate]:
    """What a STUN server sees, asked from all IPv4 addresses at once; nothing where there is none or it is silent."""
    if server is None:
        return []
    asked = [_ask(each, server, patience) for each in protocols if ":" not in each.local_candidate.host]
    return [candidate for found in await asyncio.gather(*asked) for candidate in found]


async def _ask(protocol: StunProtocol, server: tuple[str, int], patience: Patience) -> list[Candidate]:
    time, name, host = asyncio.get_running_loop().time, f"stun:{server[0]}:{server[1]}", protocol.local_candidate.host
    if not patience.asks(name, host, time()):
        return []
    found: list[Candidate] = []
    try:
        async with asyncio.timeout(SERVER_S):
            with suppress(stun.TransactionFailed, OSError, KeyError):  # KeyError: it names no address
                found = [(await aioice.ice.server_reflexive_candidate(protocol, server))[0]]
    except (TimeoutError, stun.TransactionTimeout):
        patience.silent(name, host, time())
    else:
        patience.heard(name, host)
    return found


async def relayed_candidates(
    server: str, gather: Callable[[], Awaitable[list[Candidate]]], patience: Patience
) -> list[Candidate]:
    """What a TURN server relays at; nothing where it refuses or is silent. ``gather`` asks it, for ``SERVER_S``."""
    time = asyncio.get_running_loop().time
    began_s = time()
    if not patience.asks(server, "", began_s):
        return []
    found = await gather()
    if not found and time() - began_s >= SERVER_S:
        patience.silent(server, "", time())
    else:
        patience.heard(server, "")
    return found
