"""Waiting for a condition under a deadline: what the tests do where others would sleep."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

POLL_S = 0.02


async def until(condition: Callable[[], Answer], seconds: float, what: str) -> Answer:
    """The condition's first true answer.

    Errors: AssertionError that names ``what`` where it did not come in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def until_now(condition: Callable[[], Answer], seconds: float, what: str) -> Answer:
    """The same for code without an event loop."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(POLL_S)
    raise AssertionError(f"not within {seconds:g} s: {what}")
