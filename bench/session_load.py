"""Clients of the original server's routes, many at once in one process: they create, speak, receive, and take notes.

One family a run: ``webrtc`` clients watch with observers (``bench.observer``), ``sse`` clients listen for chunk
files and download them as a player does. Commands come as JSON lines on standard input, each is answered by one line:

    {"run": 1}       every session speaks the file at once; what came of it, all sessions together
    {"end": 1}       every session is deleted at once; how many of these were answered 200
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import httpx
import msgspec

from bench.figures import quantile
from bench.flows import payload_at
from bench.observer import JOIN_S, Observer, Whep, Wish, on_loopback
from bench.processes import BenchFailed

QUIET_PACKETS: Final = 10
"""After so many of the idle loop's packets in a row it is idle: what comes otherwise is speech."""
FINISH_S: Final = 90.0
STALL_FRAMES: Final = 3
"""A picture that stands for more than so many frames' time is a stall."""

Result = TypeVar("Result")


@dataclass(slots=True)
class Take:
    """What one session's client noted of one utterance. Units: seconds of the monotonic clock."""

    asked_s: float
    accepted_s: float = 0.0
    live_s: float = 0.0
    """When there was something to be shown: the first live packet, or the first chunk, whole."""
    shown_s: list[float] = field(default_factory=list)
    """When each picture of speech was shown."""
    bytes: int = 0
    finished: bool = False

    def intervals(self) -> list[float]:
        """Times from picture to picture."""
        return [later - earlier for earlier, later in zip(self.shown_s, self.shown_s[1:], strict=False)]


class Client(Protocol):
    """One session."""

    async def speak(self, name: str, sound: bytes) -> Take:
        """Have it speak, and receive all of that."""
        ...

    async def delete(self) -> int:
        """End the session; the status of the answer."""
        ...


class WebRtcClient:
    """A session that is watched; it is its observer's tap."""

    def __init__(self, http: httpx.AsyncClient, session: str) -> None:
        self._http, self.session = http, session
        self._viewer = Observer(self, Wish())
        self._signaling = Whep(http, f"/whep/{session}")
        self._take: Take | None = None
        self._silence = b""
        self._quiet = 0

    async def join(self, group: asyncio.TaskGroup) -> None:
        """Watch it by WHEP and wait for sound."""
        await self._viewer.join(self._signaling)
        group.create_task(self._viewer.run())
        async with asyncio.timeout(JOIN_S):
            while not self._silence or not self._viewer.flow("video").frames:  # noqa: ASYNC110  # packets set no event
                await asyncio.sleep(0.05)

    def take(self, kind: str, at_s: float, packet: bytes) -> None:
        """As ``observer.Tap``."""
        if kind == "audio":
            self._hear(packet[payload_at(packet) :], at_s)
        elif self._take is not None and self._take.live_s:
            self._take.bytes += len(packet)
            if packet[1] >> 7:
                self._take.shown_s.append(at_s)

    def report(self, kind: str, ntp_s: float, rtp_time: int) -> None:
        """As ``observer.Tap``."""

    def _hear(self, payload: bytes, now_s: float) -> None:
        take = self._take
        self._quiet = self._quiet + 1 if payload == self._silence else 0
        if take is None:
            self._silence = self._silence or payload
            return
        if payload != self._silence and not take.live_s:
            take.live_s = now_s
        if take.live_s:
            take.bytes += len(payload)

    async def speak(self, name: str, sound: bytes) -> Take:
        """As ``Client``."""
        async with asyncio.timeout(FINISH_S):
            while self._quiet < QUIET_PACKETS:  # noqa: ASYNC110  packets set no event
                await asyncio.sleep(0.02)
        take = self._take = Take(time.monotonic())
        await _upload(self._http, f"/webrtc/sessions/{self.session}/stream", name, sound)
        take.accepted_s = time.monotonic()
        async with asyncio.timeout(FINISH_S):
            while await self._busy():  # noqa: ASYNC110  it happens in another process
                await asyncio.sleep(0.1)
        self._take, take.finished = None, bool(take.live_s)
        return take

    async def _busy(self) -> bool:
        reply = await self._http.get(f"/webrtc/sessions/{self.session}/status")
        return reply.json()["active_stream"] is not None

    async def delete(self) -> int:
        """As ``Client``."""
        reply = await self._http.delete(f"/webrtc/sessions/{self.session}")
        await self._viewer.connection.close()
        return reply.status_code


class SseClient:
    """A session whose chunks are fetched in turn and shown as a player would: each when the one before is over."""

    def __init__(self, http: httpx.AsyncClient, session: str, fps: int) -> None:
        self._http, self.session, self._fps = http, session, fps

    async def speak(self, name: str, sound: bytes) -> Take:
        """As ``Client``."""
        take = Take(time.monotonic())
        async with asyncio.timeout(FINISH_S), asyncio.TaskGroup() as group:
            listening = asyncio.Event()
            group.create_task(self._listen(take, listening))
            await listening.wait()
            take.asked_s = time.monotonic()
            await _upload(self._http, f"/sessions/{self.session}/stream", name, sound)
            take.accepted_s = time.monotonic()
        return take

    async def _listen(self, take: Take, listening: asyncio.Event) -> None:
        async with self._http.stream("GET", f"/sessions/{self.session}/events") as events:
            events.raise_for_status()
            listening.set()
            async for line in events.aiter_lines():
                if line.startswith("data:"):
                    event = msgspec.json.decode(line[5:].encode(), type=dict[str, object])
                    if event["event"] == "chunk":
                        await self._show(take, str(event["url"]), float(str(event["duration"])))
                    else:
                        take.finished = event["event"] == "complete"

    async def _show(self, take: Take, url: str, duration_s: float) -> None:
        reply = await self._http.get(url)
        reply.raise_for_status()
        take.bytes += len(reply.content)
        now_s = time.monotonic()
        take.live_s = take.live_s or now_s
        begin_s = max(now_s, take.shown_s[-1] + 1 / self._fps) if take.shown_s else now_s
        take.shown_s += [begin_s + index / self._fps for index in range(round(duration_s * self._fps))]

    async def delete(self) -> int:
        """As ``Client``."""
        return (await self._http.delete(f"/sessions/{self.session}")).status_code


async def _upload(http: httpx.AsyncClient, path: str, name: str, sound: bytes) -> None:
    reply = await http.post(path, files={"audio_file": (name, sound)})
    reply.raise_for_status()


def summary(given: list[Take], fps: int) -> dict[str, float]:
    """All sessions together. Units: milliseconds, counts, kilobits a second of speech."""
    takes = [take for take in given if take.shown_s]
    intervals = [1000 * interval for take in takes for interval in take.intervals()]
    live = [1000 * (take.live_s - take.asked_s) for take in takes]
    if not intervals:
        raise BenchFailed("no session showed two pictures of speech")
    shown_s = sum(len(take.shown_s) / fps for take in takes)
    return {
        "sessions": len(given),
        "finished": sum(take.finished for take in given),
        "accepted_p50_ms": quantile([1000 * (take.accepted_s - take.asked_s) for take in takes], 0.5),
        "live_p50_ms": quantile(live, 0.5),
        "live_max_ms": max(live),
        "interval_p50_ms": quantile(intervals, 0.5),
        "interval_p99_ms": quantile(intervals, 0.99),
        "interval_max_ms": max(intervals),
        "stalls": sum(interval > STALL_FRAMES * 1000 / fps for interval in intervals),
        "pictures": sum(len(take.shown_s) for take in takes),
        "kbps": sum(take.bytes for take in takes) * 8 / 1000 / max(shown_s, 1e-9),
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """What this process plays."""

    family: str
    sessions: int
    fps: int
    avatar: str
    sound: Path


async def open_clients(plan: Plan, http: httpx.AsyncClient, group: asyncio.TaskGroup) -> list[Client]:
    """Sessions, created one after the other; the watched ones are up when this returns."""
    clients: list[Client] = []
    path = "/webrtc/sessions/create" if plan.family == "webrtc" else "/sessions/create"
    for _ in range(plan.sessions):
        reply = await http.post(path, params={"avatar_id": plan.avatar, "fps": plan.fps})
        reply.raise_for_status()
        session = str(reply.json()["session_id"])
        if plan.family == "webrtc":
            client = WebRtcClient(http, session)
            await client.join(group)
            clients.append(client)
        else:
            clients.append(SseClient(http, session, plan.fps))
    return clients


async def gathered(calls: list[Coroutine[object, object, Result]]) -> list[Result]:
    """The results of all, run side by side."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


async def serve(plan: Plan, base: str, answer: Callable[[dict[str, float]], None]) -> None:
    """Do what standard input says, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    sound = await asyncio.to_thread(plan.sound.read_bytes)
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=base, timeout=FINISH_S, trust_env=False, limits=limits) as http,
        asyncio.TaskGroup() as group,
    ):
        clients = await open_clients(plan, http, group)
        while line := await lines.readline():
            command = msgspec.json.decode(line, type=dict[str, float])
            if "run" in command:
                takes = await gathered([client.speak(plan.sound.name, sound) for client in clients])
                answer(summary(takes, plan.fps))
            else:
                statuses = await gathered([client.delete() for client in clients])
                answer({"deleted": sum(status == httpx.codes.OK for status in statuses)})


def write_line(message: dict[str, float]) -> None:
    """One line to whoever gave the command."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="address of the server")
    parser.add_argument("--family", choices=("webrtc", "sse"), required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--fps", type=int, required=True)
    parser.add_argument("--avatar", required=True)
    parser.add_argument("--sound", type=Path, required=True)
    given = parser.parse_args()
    plan = Plan(given.family, given.sessions, given.fps, given.avatar, given.sound)
    with on_loopback():
        asyncio.run(serve(plan, given.base, write_line))


if __name__ == "__main__":
    start()
