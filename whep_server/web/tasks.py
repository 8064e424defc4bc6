"""Tasks that outlive the request that began them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Left(Exception):
    """Ends a task group and all that runs in it."""


@asynccontextmanager
async def ended_with_block() -> AsyncIterator[asyncio.TaskGroup]:
    """A group whose tasks are cancelled when the block is left."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
            raise _Left
    except* _Left:
        pass
