"""How many requests were answered, by route and class of status: a ``before_send`` hook, for ``/metrics``."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, cast

from litestar.types import Message, Scope

UNMATCHED: Final = "unmatched"
"""The route of what has none: paths that strangers think of are not to become series."""


class Tally:
    """See the module. Nothing ends: there are as many counts as routes times five."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    async def count(self, message: Message, scope: Scope) -> None:
        """Called with each message that is sent; a WebSocket that is accepted is an answer of 101."""
        kind: str = message["type"]
        if kind.endswith("response.start") or kind == "websocket.accept":
            route = scope.get("path_template") or UNMATCHED
            status = cast(Mapping[str, int], message).get("status", 101)
            self.counts[route, f"{status // 100}xx"] += 1
