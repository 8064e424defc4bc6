"""Waiting for a condition under a deadline: what the tests do where others would sleep."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")

POLL_S = 0.02
PAGE_S = 0.05
"""How often a browser is asked: each time takes it away from what it shows."""


class Page(Protocol):
    """A browser's page, Playwright's for one."""

    async def evaluate(self, expression: str) -> object:
        """What an expression, or a function of no arguments, comes to there."""
        ...


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


async def until_page(page: Page, expression: str, seconds: float = 30.0) -> None:
    """An expression comes true in a page. Playwright's wait_for_function needs eval, which the pages' policy forbids.

    Errors: AssertionError where it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not await page.evaluate(expression):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {expression}"
        await asyncio.sleep(PAGE_S)
