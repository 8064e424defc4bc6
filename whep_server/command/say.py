"""Have a stream on a running server speak an audio file or a text, and follow it until it is spoken."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PIECE_BYTES: Final = 64 * 1024
CONNECT_S: Final = 5.0
REPLY_S: Final = 60.0
"""Longest silence of the server while it takes the upload."""
SILENCE_S: Final = 60.0
"""The server sends a heartbeat every 15 s; four missed ones mean that it is gone."""


FAILED: Final = {
    "failed": "the server could not speak it",
    "interrupted": "it was interrupted",
    "cancelled": "speech was interrupted before its turn came",
}
"""How speech ends that is not spoken to its end."""


class SayFailedError(Exception):
    """It was not spoken; the message says why."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One ``speech`` event."""

    utterance: str
    state: str
    seconds: float | None
    detail: str | None


def stream_url(url: str, stream: str, last: str) -> str:
    """Address of a stream's ``speech`` or ``events``."""
    return f"{url.rstrip('/')}/streams/{stream}/{last}"


async def read_pieces(file: IO[bytes], progress: Progress, task: TaskID) -> AsyncIterator[bytes]:
    """The file's bytes as they can be read: a pipe may still be written."""
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece
        progress.advance(task, len(piece))


def parse_event(kind: str, data: str) -> Speech | None:
    """A ``speech`` event; None for another kind."""
    if kind != "speech":
        return None
    fields = json.loads(data)
    return Speech(fields["utterance"], fields["state"], fields.get("seconds"), fields.get("detail"))


async def speech_events(response: httpx.Response) -> AsyncGenerator[Speech, None]:
    """The ``speech`` events of an event stream."""
    kind = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and (event := parse_event(kind, value)):
            yield event


def reason(response: httpx.Response) -> str:
    """Why the server refused, in its words."""
    try:
        return f"{response.status_code}: {response.json()['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason_phrase}"


async def send(client: httpx.AsyncClient, url: str, source: IO[bytes] | str, progress: Progress) -> str:
    """Send a file or a text; the utterance's id. Errors: SayFailedError."""
    task = progress.add_task("sending", total=None)
    if isinstance(source, str):
        response = await client.post(url, json={"text": source})
    else:
        response = await client.post(url, content=read_pieces(source, progress, task))
    if response.status_code != httpx.codes.ACCEPTED:
        raise SayFailedError(reason(response))
    progress.remove_task(task)
    return str(response.json()["utterance"])


async def follow(events: AsyncIterator[Speech], utterance: str, progress: Progress) -> None:
    """Show where the utterance is until it is spoken. Errors: SayFailedError."""
    task = progress.add_task("queued", total=None)
    async for event in events:
        if event.utterance != utterance:
            continue
        if event.state in FAILED:
            raise SayFailedError(event.detail or FAILED[event.state])
        if event.state == "finished":
            progress.update(task, description="spoken", total=1, completed=1)
            return
        if event.state == "started":
            progress.update(task, description="speaking", total=event.seconds)
    raise SayFailedError("the stream was taken off air before it was spoken")


async def tick(progress: Progress) -> None:
    """Move the bar with the time while it speaks."""
    while True:
        await asyncio.sleep(0.1)
        for task in progress.tasks:
            if task.description == "speaking" and task.total:
                progress.update(task.id, completed=min(task.total, task.completed + 0.1))


async def say(url: str, stream: str, source: IO[bytes] | str, progress: Progress) -> None:
    """Listen, send, follow. Errors: SayFailedError and httpx.HTTPError, in exception groups."""
    timeout = httpx.Timeout(REPLY_S, connect=CONNECT_S)
    listening = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    async with (
        httpx.AsyncClient(timeout=timeout) as client,
        client.stream("GET", stream_url(url, stream, "events"), timeout=listening) as response,
    ):
        if response.status_code != httpx.codes.OK:
            await response.aread()
            raise SayFailedError(reason(response))
        utterance = await send(client, stream_url(url, stream, "speech"), source, progress)
        async with aclosing(speech_events(response)) as events, asyncio.TaskGroup() as group:
            ticker = group.create_task(tick(progress), name="progress")
            try:
                await follow(events, utterance, progress)
            finally:
                ticker.cancel()


def explain(error: BaseException, url: str) -> str:
    """What went wrong, in words."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(explain(inner, url) for inner in error.exceptions)
    if isinstance(error, httpx.HTTPError):
        return f"no server answers at {url}: {error or type(error).__name__}"
    return str(error)


def run(url: str, stream: str, source: Path | str) -> int:
    """The ``say`` command: a file (``-`` is standard input) or a text. The exit status: 0 once it is spoken."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>9}"), BarColumn(), TimeElapsedColumn())
    status = 0
    try:
        with Progress(*columns, console=console) as progress, opened(source) as opened_source:
            asyncio.run(say(url, stream, opened_source, progress))
    except* (SayFailedError, httpx.HTTPError, OSError) as failed:
        console.print(f"not spoken: {explain(failed, url)}", style="red", markup=False, highlight=False)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status


def opened(source: Path | str) -> AbstractContextManager[IO[bytes] | str]:
    """The file, standard input for ``-``, or the text as it is."""
    if isinstance(source, str):
        return nullcontext(source)
    return nullcontext(sys.stdin.buffer) if str(source) == "-" else source.open("rb")
