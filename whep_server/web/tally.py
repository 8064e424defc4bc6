"""How many requests were answered, by route and class of status: a ``before_send`` hook, for ``/metrics``."""

from collections import Counter
from typing import Final

from litestar.types import Message, Scope

UNMATCHED: Final = "unmatched"
"""The route of what has none: paths that strangers think of are not to become series."""


class Tally:
    """See the module. Nothing ends: there are as many counts as routes times five."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    async def count(self, message: Message, scope: Scope) -> None:
        """Called with each message that is sent."""
        if message["type"] == "http.response.start":
            route = scope.get("path_template") or UNMATCHED
            self.counts[route, f"{message['status'] // 100}xx"] += 1
