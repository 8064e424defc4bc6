"""Carries one uploaded file to the worker, piece by piece."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from avatar.client import Worker
from avatar.messages import SpeechData
from whep_server.errors import TooLarge, TooSlow
from whep_server.live.utterances import Entry
from whep_server.settings import Settings

PIECE_BYTES: Final = 256 * 1024
"""The most that one message may carry."""


async def send_pieces(
    template: SpeechData, entry: Entry, worker: Worker, pieces: AsyncIterator[bytes], settings: Settings
) -> None:
    """Send ``pieces`` as one utterance; the worker may begin to speak before the last of them.

    Where the utterance is refused meanwhile the rest is not sent; it is read all the same where that shows elsewhere,
    in the recording. Errors: TooLarge, TooSlow where the upload stalls, WorkerGone, those of the verdict.
    """
    total = 0
    while (piece := await _next_piece(pieces, settings.upload_stall_s)) is not None:
        total += len(piece)
        if total > settings.max_upload_bytes:
            raise TooLarge(f"an upload may have {settings.max_upload_bytes} bytes")
        for at in range(0, len(piece), PIECE_BYTES):
            if not entry.verdict.done():
                _send(template, worker, piece[at : at + PIECE_BYTES], last=False)
                await worker.drain()
            elif not entry.recorded:
                entry.verdict.result()
    if not entry.verdict.done():
        _send(template, worker, b"", last=True)


def _send(template: SpeechData, worker: Worker, data: bytes, last: bool) -> None:
    worker.send(SpeechData(template.stream, template.utterance, template.epoch, data, last))


async def _next_piece(pieces: AsyncIterator[bytes], stall_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(stall_s):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise TooSlow(f"the upload sent nothing for {stall_s:g} s") from error
