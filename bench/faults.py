"""What can go wrong with a server that is measured, told apart from what is wrong with the benchmark."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Final, TypeVar

import httpx
from websockets.exceptions import WebSocketException

from bench.processes import BenchFailed

Result = TypeVar("Result")
FAULTS: Final = (BenchFailed, httpx.HTTPError, WebSocketException, OSError)
"""An answer that is an error, none in time (TimeoutError is an OSError), or a connection that ends."""
CAUGHT: Final = (*FAULTS, ExceptionGroup)
"""What may consist of faults: to be given to ``reasons``."""


def reasons(error: BaseException) -> list[str]:
    """The faults that an exception, or a group of them, consists of. Errors: itself where one of them is no fault."""
    found = list(_leaves(error))
    if not all(isinstance(each, FAULTS) for each in found):
        raise error
    return [str(each) if isinstance(each, BenchFailed) else repr(each) for each in found]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def run_async(main: Coroutine[object, object, Result]) -> Result:
    """``asyncio.run``. Errors: BenchFailed for faults."""
    try:
        return asyncio.run(main)
    except CAUGHT as error:
        raise BenchFailed("; ".join(dict.fromkeys(reasons(error)))) from error
