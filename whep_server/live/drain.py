"""That the server is to end: nothing new is taken, and what was accepted is spoken to its end, for so long at most.

Not waited for: a publisher, whose speech has no end of its own, and viewers, who are told to come again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from whep_server.errors import BeingEnded

logger = logging.getLogger(__name__)

POLL_S: Final = 0.05
"""How often it is looked at whether all is spoken."""


class Drain:
    """See the module."""

    def __init__(self, owed: Callable[[], Mapping[str, int]]) -> None:
        """``owed`` says how many utterances are yet to be heard to their end, by what the log calls their stream."""
        self.begun = False
        self._owed = owed

    @property
    def waits_for(self) -> Mapping[str, int]:
        """Utterances by stream; nothing as long as the server is not to end."""
        return self._owed() if self.begun else {}

    def check_open(self) -> None:
        """For whatever is new. Errors: BeingEnded."""
        if self.begun:
            raise BeingEnded("the server is being ended, and takes nothing new")

    async def until_spoken(self, longest_s: float) -> None:
        """From now on nothing new is taken; returns when all is spoken, or after so long."""
        self.begun = True
        waited = self.waits_for
        if not waited:
            logger.info("the server is to end: nothing new is taken, and nobody speaks")
            return
        shown = _shown(waited)
        extra = {"waits_for": dict(waited), "longest_s": longest_s}
        logger.info("the server is to end: nothing new is taken; up to %g s for %s", longest_s, shown, extra=extra)
        try:
            async with asyncio.timeout(longest_s):
                while self.waits_for:  # noqa: ASYNC110  # it hangs on each stream's clock, queue and publisher
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pass
        finally:  # also where a second signal does not wait for it
            if left := self.waits_for:
                logger.warning("speech is cut off: %s", _shown(left), extra={"waits_for": dict(left)})
            else:
                logger.info("all that was accepted is spoken")


def _shown(waited: Mapping[str, int]) -> str:
    return ", ".join(f"{stream} ({count})" for stream, count in waited.items())
