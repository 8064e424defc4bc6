"""Packets under the session's keys that cannot be read: passed over, for the session goes on.

aiortc 1.16.0 expects ``ValueError`` of its parsers; ``struct.error`` and ``IndexError``, which they raise as well, end
the connection: an estimate that names more sources than it has, a header extension of another length than its kind has.
Relied on, and replaced on the instance:

    RTCDtlsTransport._handle_rtcp_data, _handle_rtp_data
"""

import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiortc import RTCDtlsTransport

logger = logging.getLogger(__name__)

MISREAD: Final = (IndexError, struct.error)

Handle = Callable[..., Coroutine[Any, Any, None]]


def pass_over_unreadable(transport: RTCDtlsTransport) -> None:
    """Have ``transport`` drop what its parsers cannot read."""
    transport._handle_rtcp_data = _guarded(transport._handle_rtcp_data)  # type: ignore[method-assign]
    transport._handle_rtp_data = _guarded(transport._handle_rtp_data)  # type: ignore[method-assign]


def _guarded(handle: Handle) -> Handle:
    async def guarded(*arguments: object, **named: object) -> None:
        try:
            await handle(*arguments, **named)
        except MISREAD as error:
            logger.debug("packet dropped: %s", error)

    return guarded
