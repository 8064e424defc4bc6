"""The client with a worker of a few lines, so that every way to misbehave can be had on demand."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from avatar.client import WorkerClient, WorkerGone, WorkerLimits, WorkerState, open_worker
from avatar.messages import CloseStream, FromWorker, Ready, WorkerConfig

SCRIPT = """
import os, socket, sys, time
from avatar.messages import *
from avatar.framing import MessageReader, decode_to_worker, frame_message
behaviour = sys.argv[1]
sock = socket.socket(fileno=int(sys.argv[3]))
say = lambda message: sock.sendall(frame_message(message))
reader = MessageReader()
if behaviour == "exits":
    sys.exit(3)
if behaviour == "deaf":
    import signal
    time.sleep(600)
while data := sock.recv(65536):
    for body in reader.feed(data):
        match decode_to_worker(body):
            case Configure():
                say(LogLine(20, "avatar.test", "hello 100%"))
                say(Ready(os.getpid(), []))
                if behaviour == "garbage":
                    sock.sendall(b"\\x00\\x00\\x00\\x01\\xc1")
            case Ping(serial=serial) if behaviour != "mute":
                say(Pong(serial, WorkerStats(frames=serial)))
            case CloseStream(stream=stream):
                say(WentIdle(stream, 5))
            case Shutdown() if behaviour != "stays":
                sys.exit(0)
if behaviour == "stays":
    time.sleep(600)
"""
QUICK = WorkerLimits(start_s=20.0, ping_s=0.05, slow_s=0.3, dead_s=1.0, stop_s=0.3, backoff_s=0.05, backoff_max_s=0.2)
PATIENT = WorkerLimits(start_s=20.0, ping_s=0.05, slow_s=10.0, dead_s=20.0, stop_s=10.0, backoff_s=0.05)
CONFIG = WorkerConfig("", "", "")
DEADLINE_S = 30.0


class Recorder:
    def __init__(self) -> None:
        self.readies: list[Ready] = []
        self.messages: list[FromWorker] = []
        self.losses: list[str] = []

    def worker_ready(self, ready: Ready) -> None:
        self.readies.append(ready)

    def worker_message(self, message: FromWorker) -> None:
        self.messages.append(message)

    def worker_lost(self, detail: str) -> None:
        self.losses.append(detail)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.005)


@asynccontextmanager
async def worker(behaviour: str, limits: WorkerLimits) -> AsyncIterator[tuple[WorkerClient, Recorder]]:
    recorder = Recorder()
    async with open_worker(CONFIG, limits, recorder, command=("-c", SCRIPT, behaviour)) as client:
        yield client, recorder


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[None, None, None]], None]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runner(coroutine: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(coroutine)

    return runner


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_worker_starts_answers_and_ends_when_asked(run, caplog):
    async def scenario() -> None:
        caplog.set_level(logging.INFO)
        async with worker("good", PATIENT) as (client, seen):
            assert client.state is WorkerState.STARTING
            with pytest.raises(WorkerGone):
                client.send(CloseStream("a"))
            await until(lambda: seen.readies)
            assert client.state is WorkerState.READY
            assert client.pid == seen.readies[0].pid
            client.send(CloseStream("a"))
            await client.drain()
            await until(lambda: seen.messages)
            await until(lambda: client.stats.frames > 2)
            pid = client.pid
        assert client.state is WorkerState.STOPPED and client.pid is None
        assert gone(pid)
        with pytest.raises(WorkerGone):
            client.send(CloseStream("a"))
        assert not seen.losses
        assert ("avatar.test", logging.INFO, "hello 100%") in caplog.record_tuples

    run(scenario())


def test_a_killed_worker_is_lost_and_another_one_comes(run):
    async def scenario() -> None:
        async with worker("good", PATIENT) as (client, seen):
            await until(lambda: seen.readies)
            os.kill(seen.readies[0].pid, signal.SIGKILL)
            await until(lambda: len(seen.readies) == 2)
            assert len(seen.losses) == 1 and "SIGKILL" in seen.losses[0]
            assert client.state is WorkerState.READY and client.pid == seen.readies[1].pid

    run(scenario())


def test_a_hung_worker_is_killed_and_another_one_comes(run):
    async def scenario() -> None:
        async with worker("good", QUICK) as (_, seen):
            await until(lambda: seen.readies)
            hung = seen.readies[0].pid
            os.kill(hung, signal.SIGSTOP)
            await until(lambda: len(seen.readies) >= 2)
            assert gone(hung)
            assert "answered" in seen.losses[0]

    run(scenario())


def test_a_worker_that_answers_no_ping_is_not_kept(run):
    async def scenario() -> None:
        async with worker("mute", QUICK) as (_, seen):
            await until(lambda: seen.losses and len(seen.readies) >= 2)

    run(scenario())


def test_a_worker_that_never_gets_ready_is_not_waited_for(run, caplog):
    async def scenario() -> None:
        limits = WorkerLimits(start_s=0.1, stop_s=0.3, backoff_s=0.01, backoff_max_s=0.01)
        async with worker("deaf", limits) as (_, seen):
            await until(lambda: caplog.text.count("not ready") >= 2)
        assert not seen.readies and not seen.losses

    run(scenario())


def test_a_worker_that_ends_at_once_is_started_again_ever_more_slowly(run, caplog):
    async def scenario() -> None:
        limits = WorkerLimits(start_s=20.0, stop_s=0.3, backoff_s=0.01, backoff_max_s=0.04)
        async with worker("exits", limits) as (client, seen):
            await until(lambda: caplog.text.count("exit status 3") >= 4)
            assert client.state is not WorkerState.READY
        assert not seen.readies and not seen.losses

    run(scenario())
    lines = [record.getMessage() for record in caplog.records if "another one starts" in record.getMessage()]
    assert [line.rsplit(" in ", 1)[1] for line in lines[:4]] == ["0.0 s"] * 4


def test_a_worker_that_talks_nonsense_is_replaced(run):
    async def scenario() -> None:
        async with worker("garbage", QUICK) as (_, seen):
            await until(lambda: len(seen.losses) >= 2)

    run(scenario())


def test_a_worker_that_does_not_end_when_asked_is_killed(run):
    async def scenario() -> None:
        async with worker("stays", QUICK) as (_, seen):
            await until(lambda: seen.readies)
        await until(lambda: gone(seen.readies[0].pid))

    run(scenario())


def test_a_listener_with_a_bug_does_not_cost_the_worker(run, caplog):
    async def scenario() -> None:
        async with worker("good", PATIENT) as (client, seen):
            await until(lambda: seen.readies)
            seen.messages = None  # type: ignore[assignment]
            client.send(CloseStream("a"))
            await until(lambda: "was not understood" in caplog.text)
            assert client.state is WorkerState.READY

    run(scenario())


def test_what_the_body_raises_comes_out_and_the_worker_ends(run):
    async def scenario() -> None:
        seen = None
        with pytest.raises(ExceptionGroup) as caught:
            async with worker("good", PATIENT) as (_, seen):
                await until(lambda: seen.readies)
                raise LookupError("the server's own")
        assert isinstance(caught.value.exceptions[0], LookupError)
        await until(lambda: gone(seen.readies[0].pid))

    run(scenario())


def test_the_client_needs_neither_torch_nor_av():
    code = "import sys, avatar.client; sys.exit(any(name in sys.modules for name in ('torch', 'av', 'cv2')))"

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(__file__).parents[2])
        assert await process.wait() == 0

    asyncio.run(scenario())
