"""Carries one uploaded file to the worker, piece by piece, and waits for its verdict."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from avatar.client import Worker, WorkerGone
from avatar.messages import AbandonSpeech, SpeechData
from whep_server.errors import TooLarge, TooSlow, Unavailable, WorkerLost
from whep_server.live.utterances import Entry, Speech, Stage, Utterance
from whep_server.settings import Settings

PIECE_BYTES: Final = 256 * 1024
"""The most that one message may carry."""
VERDICT_S: Final = 20.0
"""The worker gives up a file it cannot decode after 10 s; longer than that means it is stuck."""


async def send_speech(
    stream: str, speech: Speech, worker: Worker, pieces: AsyncIterator[bytes], settings: Settings
) -> Utterance:
    """Send ``pieces`` as one utterance; the worker may begin to speak before the last of them.

    Errors: NotSpeech, TooLarge, TooMany, WorkerLost, Unavailable, TooSlow where the upload stalls.
    """
    entry = speech.open()
    complete = False
    try:
        await _send_pieces(SpeechData(stream, entry.id, speech.epoch, b"", last=False), entry, worker, pieces, settings)
        async with asyncio.timeout(VERDICT_S):
            utterance = await entry.verdict
        complete = True
    except WorkerGone as error:
        raise WorkerLost("the speech engine was lost during the upload") from error
    except TimeoutError as error:
        raise Unavailable("the speech engine does not answer") from error
    finally:
        if not complete:
            _abandon(stream, entry, speech, worker)
    return utterance


async def _send_pieces(
    template: SpeechData, entry: Entry, worker: Worker, pieces: AsyncIterator[bytes], settings: Settings
) -> None:
    total = 0
    while (piece := await _next_piece(pieces, settings.upload_stall_s)) is not None:
        total += len(piece)
        if total > settings.max_upload_bytes:
            raise TooLarge(f"an upload may have {settings.max_upload_bytes} bytes")
        for at in range(0, len(piece), PIECE_BYTES):
            if entry.verdict.done():
                entry.verdict.result()  # refused already: raises, and the rest need not be sent
            _send(template, worker, piece[at : at + PIECE_BYTES], last=False)
            await worker.drain()
    _send(template, worker, b"", last=True)


def _send(template: SpeechData, worker: Worker, data: bytes, last: bool) -> None:
    worker.send(SpeechData(template.stream, template.utterance, template.epoch, data, last))


async def _next_piece(pieces: AsyncIterator[bytes], stall_s: float) -> bytes | None:
    try:
        async with asyncio.timeout(stall_s):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise TooSlow(f"the upload sent nothing for {stall_s:g} s") from error


def _abandon(stream: str, entry: Entry, speech: Speech, worker: Worker) -> None:
    """Nobody will hear how it ends: make the worker forget it, unless it speaks it already."""
    if entry.stage is Stage.UPLOADED:
        speech.forget(entry)
    try:
        worker.send(AbandonSpeech(stream, entry.id))
    except WorkerGone:
        return
