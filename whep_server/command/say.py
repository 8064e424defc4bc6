"""Have a stream on a running server speak an audio file, samples or a text, and follow it; or have it fall silent."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Final, cast

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PIECE_BYTES: Final = 64 * 1024
CONNECT_S: Final = 5.0
REPLY_S: Final = 60.0
"""Longest silence of the server while it takes the upload."""
AS_SPOKEN: Final = httpx.Timeout(None, connect=CONNECT_S)
"""Samples are taken no faster than they are spoken, and what is queued before them comes first."""
SILENCE_S: Final = 60.0
"""The server sends a heartbeat every 15 s; four missed ones mean that it is gone."""


FAILED: Final = {
    "failed": "the server could not speak it",
    "interrupted": "it was interrupted",
    "cancelled": "speech was interrupted before its turn came",
}
"""How speech ends that is not spoken to its end."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What a file without a header holds: 16 bit, little endian."""

    sample_rate: int
    channels: int

    @property
    def content_type(self) -> str:
        """As the server takes it."""
        return f"audio/pcm;rate={self.sample_rate};channels={self.channels}"


class SayFailedError(Exception):
    """It was not spoken; the message says why."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One ``speech`` event."""

    utterance: str
    state: str
    seconds: float | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """A stream of a server, and the token that it asks for, if any."""

    server: str
    stream: str
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"{self.server.rstrip('/')}/streams/{self.stream}"

    @property
    def headers(self) -> dict[str, str]:
        """With each request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


async def read_pieces(file: BufferedReader, progress: Progress, task: TaskID) -> AsyncIterator[bytes]:
    """The file's bytes as soon as they can be read: a pipe may still be written."""
    while piece := await asyncio.to_thread(file.read1, PIECE_BYTES):
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


async def send(
    client: httpx.AsyncClient, url: str, source: BufferedReader | str, samples: Samples | None, progress: Progress
) -> str:
    """Send a file or a text; the utterance's id. ``url`` ends with the stream's name. Errors: SayFailedError."""
    task = progress.add_task("sending", total=None)
    if isinstance(source, str):
        response = await client.post(f"{url}/speech", json={"text": source})
    elif samples is None:
        response = await client.post(f"{url}/speech", content=read_pieces(source, progress, task))
    else:
        pieces, headers = read_pieces(source, progress, task), {"Content-Type": samples.content_type}
        response = await client.post(f"{url}/pcm", content=pieces, headers=headers, timeout=AS_SPOKEN)
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


async def say(target: Target, source: BufferedReader | str, samples: Samples | None, progress: Progress) -> None:
    """Listen, send, follow. Errors: SayFailedError and httpx.HTTPError, in exception groups."""
    timeout = httpx.Timeout(REPLY_S, connect=CONNECT_S)
    listening = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    async with (
        httpx.AsyncClient(timeout=timeout, headers=target.headers, verify=trusted()) as client,
        client.stream("GET", f"{target.url}/events", timeout=listening) as response,
    ):
        if response.status_code != httpx.codes.OK:
            await response.aread()
            raise SayFailedError(reason(response))
        utterance = await send(client, target.url, source, samples, progress)
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


def run(target: Target, source: Path | str, samples: Samples | None = None) -> int:
    """The ``say`` command: a file (``-`` is standard input) or a text. The exit status: 0 once it is spoken."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>9}"), BarColumn(), TimeElapsedColumn())
    status = 0
    try:
        with Progress(*columns, console=console) as progress, opened(source) as opened_source:
            asyncio.run(say(target, opened_source, samples, progress))
    except* (SayFailedError, httpx.HTTPError, OSError) as failed:
        console.print(f"not spoken: {explain(failed, target.server)}", style="red", markup=False, highlight=False)
        status = 1
    except* KeyboardInterrupt:
        status = 130
    return status


def trusted() -> ssl.SSLContext:
    """What this machine trusts; ``SSL_CERT_FILE`` names something else. By itself httpx has a list of its own."""
    return ssl.create_default_context()


def interrupt(target: Target) -> int:
    """The ``interrupt`` command. The exit status: 0 where it is silent."""
    console = Console(stderr=True)
    try:
        url = f"{target.url}/interrupt"
        response = httpx.post(url, headers=target.headers, timeout=REPLY_S, verify=trusted())
    except httpx.HTTPError as error:
        console.print(explain(error, target.server), style="red", markup=False, highlight=False)
        return 1
    if response.status_code != httpx.codes.OK:
        console.print(reason(response), style="red", markup=False, highlight=False)
        return 1
    done = response.json()
    cut = f"cut off after {done['played_s']} s" if done["utterance"] else "nothing was being spoken"
    waiting = f", and {len(done['dropped'])} more dropped" if done["dropped"] else ""
    console.print(f"silent: {cut}{waiting}", markup=False, highlight=False)
    return 0


def opened(source: Path | str) -> AbstractContextManager[BufferedReader | str]:
    """The file, standard input for ``-``, or the text as it is."""
    if isinstance(source, str):
        return nullcontext(source)
    return nullcontext(cast(BufferedReader, sys.stdin.buffer)) if str(source) == "-" else source.open("rb")
