"""How often one address may ask: a bucket of tokens a key. Pure; the time comes as an argument.

Our own, because the libraries for it keep a thread or a task a request for expiry (limits), or make the caller wait
instead of telling it when to come back (aiolimiter).
"""

from collections import OrderedDict
from typing import Final

from whep_server.errors import TooMany
from whep_server.settings import Settings
from whep_server.web.permissions import Limit

MAX_KEYS: Final = 10_000
"""Who asked longest ago is forgotten: its bucket has most likely filled up again."""


class Pace:
    """Each key may do ``burst`` things at once and ``per_s`` a second in the long run."""

    def __init__(self, per_s: float, burst: int) -> None:
        """0 for ``per_s``: no limit."""
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now_s: float) -> None:
        """Count one. Errors: TooMany, saying when to come back."""
        if not self._per_s:
            return
        level, at_s = self._buckets.pop(key, (float(self._burst), now_s))
        level = min(self._burst, level + (now_s - at_s) * self._per_s)
        short = level < 1
        self._buckets[key] = (level if short else level - 1, now_s)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        if short:
            raise TooMany("too many requests from this address", retry_after_s=1 + int((1 - level) / self._per_s))


def paces(settings: Settings) -> dict[Limit, Pace]:
    """Those of one server.  [I-EP-32] [I-SE-22]"""
    return {
        Limit.OFFERS: Pace(settings.offers_per_s, settings.offer_burst),
        # a player trickles some ten candidates, some send one request for each
        Limit.CHANGES: Pace(settings.offers_per_s * 5, settings.offer_burst * 5),
        Limit.REQUESTS: Pace(settings.requests_per_s, settings.request_burst),
    }
