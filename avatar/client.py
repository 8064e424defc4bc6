"""The worker process as the server sees it: started, watched, started again; messages out and in. One event loop.

A worker is LOST when its socket closes, when it is not ready in time, or when a ping stays unanswered; then it is
killed, its listener told, and another one started after a pause that doubles. Imports neither torch nor av.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol, TypeVar, cast

import msgspec

from avatar.framing import MessageReader, decode_from_worker, frame_message
from avatar.messages import (
    Configure,
    FromWorker,
    LogLine,
    Ping,
    Pong,
    Ready,
    Shutdown,
    ToWorker,
    WorkerConfig,
    WorkerStats,
)

log = logging.getLogger(__name__)

Told = TypeVar("Told")

SETTINGS: Final = ("WHEP_AVATAR_", "WEBRTC_")
"""How the names of the server's settings begin."""
COMMAND: Final = ("-P", "-m", "avatar.worker")
"""What the Python interpreter is given to run; -P: a folder named avatar in the server's own folder is not meant."""
HIGH_WATER_BYTES: Final = 1024 * 1024
"""``drain`` waits above it: four pieces of an upload."""
CLOSE_S: Final = 1.0
"""Closing our end of a socket takes a turn of the loop; never longer than this."""
STEADY_S: Final = 30.0
"""A worker that lived for so long starts the pauses between restarts anew."""


class WorkerGone(Exception):
    """No worker is ready to take a message."""


class WorkerState(StrEnum):
    """What the worker is doing."""

    STARTING = "starting"
    READY = "ready"
    LOST = "lost"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How long a worker may take. Units: seconds."""

    start_s: float = 60.0
    ping_s: float = 2.0
    slow_s: float = 2.0
    dead_s: float = 8.0
    stop_s: float = 5.0
    backoff_s: float = 0.2
    backoff_max_s: float = 5.0


class WorkerListener(Protocol):
    """Whom the worker's messages are for. Called on the event loop; must not block."""

    def worker_ready(self, ready: Ready) -> None:
        """A worker has started, the first or another: it knows nothing yet."""
        ...

    def worker_message(self, message: FromWorker) -> None:
        """Any message but ``Ready``, ``Pong`` and ``LogLine``."""
        ...

    def worker_lost(self, detail: str) -> None:
        """The worker that was ready is gone, with all it knew."""
        ...


class Worker(Protocol):
    """The contract of ``WorkerClient`` and of its fake."""

    @property
    def state(self) -> WorkerState:
        """What the worker is doing."""
        ...

    @property
    def stats(self) -> WorkerStats:
        """As of the last ping."""
        ...

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        ...

    def send(self, message: ToWorker) -> None:
        """Never blocks. Errors: WorkerGone where the worker is not ready."""
        ...

    async def drain(self) -> None:
        """Wait until little waits to be sent. Returns as well when the worker is gone."""
        ...


class _Link(asyncio.Protocol):
    """The server's end of one worker's socket."""

    def __init__(self, client: "WorkerClient") -> None:
        self._client = client
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):  # one by one: what came before nonsense counts
                self._client.received(decode_from_worker(body))
        except (ValueError, msgspec.DecodeError):
            log.exception("the worker sends what is no message")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self.writable.set()
        self._client.link_closed()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def write(self, message: ToWorker) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame_message(message))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class WorkerClient:
    """A supervised worker process; made by ``open_worker``."""

    def __init__(
        self, config: WorkerConfig, limits: WorkerLimits, listener: WorkerListener, command: Sequence[str]
    ) -> None:
        self.state = WorkerState.STARTING
        self.stats = WorkerStats()
        self.pid: int | None = None
        self._config, self._limits, self._listener, self._command = config, limits, listener, command
        self._link: _Link | None = None
        self._ready = asyncio.Event()
        self._pong = asyncio.Event()
        self._serial = 0

    def send(self, message: ToWorker) -> None:
        """Never blocks. Errors: WorkerGone where the worker is not ready."""
        if self.state is not WorkerState.READY or self._link is None or self._link.closed.is_set():
            raise WorkerGone(f"the worker is {self.state.value}")
        self._link.write(message)

    async def drain(self) -> None:
        """Wait until little waits to be sent. Returns as well when the worker is gone."""
        if self._link is not None:
            await self._link.writable.wait()

    def received(self, message: FromWorker) -> None:
        """A message has come; for the link alone."""
        match message:
            case Pong():
                self.stats = message.stats
                if message.serial == self._serial:
                    self._pong.set()
            case LogLine():
                logging.getLogger(message.logger).log(message.level, "%s", message.message, extra=message.about)
            case Ready():
                self.state = WorkerState.READY
                self._ready.set()
                self._tell(self._listener.worker_ready, message)
            case _:
                self._tell(self._listener.worker_message, message)

    def _tell(self, call: Callable[[Told], None], what: Told) -> None:
        """The boundary between the worker and whom its messages are for: a bug there is not the worker's end."""
        try:
            call(what)
        except Exception:
            log.exception("%s was not understood", type(what).__name__)

    def link_closed(self) -> None:
        """The worker's socket is closed: wake whoever waits for an answer. For the link alone."""
        self._ready.set()
        self._pong.set()

    async def supervise(self) -> None:
        """Run workers one after another until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s = self._limits.backoff_s
        try:
            while True:
                started_s = loop.time()
                self.state = WorkerState.STARTING
                detail = await self._run_one()
                was_ready = self.state is WorkerState.READY
                self.state = WorkerState.LOST
                log.error("the worker is lost: %s; another one starts in %.1f s", detail, pause_s)
                if was_ready:
                    self._tell(self._listener.worker_lost, detail)
                if loop.time() - started_s > STEADY_S:
                    pause_s = self._limits.backoff_s
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._limits.backoff_max_s)
        finally:
            self.state = WorkerState.STOPPED

    async def _run_one(self) -> str:
        """Start a worker and watch it to its end; why it ended."""
        self._ready.clear()
        try:
            process, link = await self._spawn()
        except OSError as error:
            return f"it cannot be started: {error}"
        self.pid, self._link = process.pid, link
        try:
            link.write(Configure(self._config))
            return await self._watch(link) + await self._fate(process)
        except asyncio.CancelledError:
            self.state = WorkerState.STOPPED
            link.write(Shutdown())
            if await _exit_code(process, self._limits.stop_s) is None:
                log.warning("the worker does not end when asked; it is killed")
            raise
        finally:
            self.pid = self._link = None
            _kill(process)
            link.close()
            await _is_set(link.closed, CLOSE_S)

    async def _spawn(self) -> tuple[asyncio.subprocess.Process, _Link]:
        ours, theirs = socket.socketpair()
        link = _Link(self)
        with theirs:
            await asyncio.get_running_loop().create_unix_connection(lambda: link, sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *self._command,
                    "--fd",
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_environment(),
                    start_new_session=True,  # Ctrl-C at a terminal is for the server alone
                )
            except (OSError, asyncio.CancelledError):
                link.close()
                raise
        return process, link

    async def _watch(self, link: _Link) -> str:
        """Return when the worker is gone or to be given up: why."""
        if not await _is_set(self._ready, self._limits.start_s):
            return f"it was not ready in {self._limits.start_s:.0f} s"
        while not link.closed.is_set():
            self._pong.clear()
            self._serial += 1
            link.write(Ping(self._serial))
            if not await _is_set(self._pong, self._limits.slow_s):
                log.warning("the worker has not answered for %.1f s", self._limits.slow_s)
                if not await _is_set(self._pong, max(0.0, self._limits.dead_s - self._limits.slow_s)):
                    return f"it has not answered for {self._limits.dead_s:.1f} s"
            await _is_set(link.closed, self._limits.ping_s)
        return "its socket closed"

    async def _fate(self, process: asyncio.subprocess.Process) -> str:
        """How the process ended by itself, in words; one that has not is killed."""
        code = await _exit_code(process, 0.5)
        if code is not None:
            return f", killed by {signal.Signals(-code).name}" if code < 0 else f", exit status {code}"
        _kill(process)
        await _exit_code(process, self._limits.stop_s)
        return ""


async def _is_set(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for the event; whether it came in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    return False


async def _exit_code(process: asyncio.subprocess.Process, timeout_s: float) -> int | None:
    """Wait for the process to end; None where it has not in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    return None


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _environment() -> dict[str, str]:
    """Ours, and where to find this very package; less the server's settings, which hold secrets.

    The worker needs none of them, and reads files that strangers send. It has a thread for each upload, and glibc would
    give these up to eight heaps a core, each of which grows to its own peak and keeps it.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    here = str(Path(__file__).parents[1])
    path = os.environ.get("PYTHONPATH", "")
    ours = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, [here, path]))}
    return {"MALLOC_ARENA_MAX": "4"} | inherited | ours


@asynccontextmanager
async def open_worker(
    config: WorkerConfig, limits: WorkerLimits, listener: WorkerListener, command: Sequence[str] = COMMAND
) -> AsyncIterator[WorkerClient]:
    """A worker that is being started; leaving the block asks it to end, waits ``stop_s``, then kills it."""
    client = WorkerClient(config, limits, listener, command)
    async with asyncio.TaskGroup() as group:
        supervisor = group.create_task(client.supervise(), name="worker-supervisor")
        try:
            yield client
        finally:
            supervisor.cancel()
