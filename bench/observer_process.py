"""Observers in a process of their own, which keep what comes. Commands are JSON lines, each is answered by one line:

    {"join": ["http://.../whep/a"], "loss": 0.02}   so many more, each on a stream; answered when media can flow to all
    {"keep": true}                                  forget what is kept, and keep what comes from now on
    {"save": "FOLDER"}                              write what was kept (bench.observations); how many packets it was
    {"leave": true}                                 end all sessions

With ``--headers`` packets are kept without what they carry, and only some of them are decrypted: enough to know when
pictures came, for a tenth of the work.
"""

import argparse
import asyncio
import gc
import sys
from pathlib import Path
from typing import Final

import httpx
import msgspec
import uvloop

from bench.observations import Observation, save
from bench.observer import JOIN_S, Observer, Whep, Wish, on_loopback

HEADER_BYTES: Final = 12
TRIED_EVERY: Final = 50
"""Of the packets of which only the header is kept, so many to one that is decrypted."""
JOINS_AT_ONCE: Final = 4


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """One line of standard input."""

    join: list[str] = []
    loss: float = 0.0
    keep: bool = False
    save: str = ""
    leave: bool = False


class Keeper:
    """A tap that keeps what comes as long as it is told to."""

    def __init__(self, stream: str, *, headers: bool) -> None:
        self.kept = Observation(stream)
        self.keeping = False
        self._most = HEADER_BYTES if headers else None

    def begin(self) -> None:
        """From now on."""
        self.kept, self.keeping = Observation(self.kept.stream), True

    def take(self, kind: str, at_s: float, packet: bytes) -> None:
        """As ``observer.Tap``."""
        if self.keeping:
            self.kept.take(kind, at_s, packet[: self._most])

    def report(self, kind: str, ntp_s: float, rtp_time: int) -> None:
        """As ``observer.Tap``."""
        if self.keeping:
            self.kept.report(kind, ntp_s, rtp_time)


class Watch:
    """All observers of this process."""

    def __init__(self, client: httpx.AsyncClient, group: asyncio.TaskGroup, *, headers: bool) -> None:
        self._client, self._group, self._headers = client, group, headers
        self._gate = asyncio.Semaphore(JOINS_AT_ONCE)
        self._observers: list[tuple[Observer, Whep, Keeper]] = []
        self._runs: list[asyncio.Task[None]] = []

    async def join(self, endpoints: list[str], loss: float) -> dict[str, float]:
        """One more on each."""
        async with asyncio.TaskGroup() as joins:
            for endpoint in endpoints:
                joins.create_task(self._one(endpoint, loss))
        gc.collect()
        gc.freeze()
        return {"observers": len(self._observers)}

    async def _one(self, endpoint: str, loss: float) -> None:
        keeper = Keeper(endpoint.rpartition("/")[2], headers=self._headers)
        observer = Observer(keeper, Wish(loss=loss, decrypt_every=TRIED_EVERY if self._headers else 1))
        signaling = Whep(self._client, endpoint)
        async with self._gate:
            self._observers.append((observer, signaling, keeper))
            await observer.join(signaling)
            self._runs.append(self._group.create_task(observer.run()))

    def keep(self) -> dict[str, float]:
        """Begin."""
        for observer, _, keeper in self._observers:
            for flow in observer.flows:
                flow.restart()
            keeper.begin()
        return {"observers": len(self._observers)}

    async def save(self, path: Path) -> dict[str, float]:
        """End, and write it all in the order of joining."""
        kept = []
        for observer, _, keeper in self._observers:
            keeper.keeping = False
            keeper.kept.lost = sum(flow.lost + len(flow.missing) for flow in observer.flows)
            kept.append(keeper.kept)
        await asyncio.to_thread(save, path, kept)
        return {
            "packets": sum(len(each.audio) + len(each.video) for each in kept),
            "rejected": sum(observer.rejected for observer, _, _ in self._observers),
            "verified": sum(observer.verified for observer, _, _ in self._observers),
        }

    async def leave(self) -> dict[str, float]:
        """End all sessions."""
        for run in self._runs:
            run.cancel()
        left = len(self._observers)
        for observer, signaling, _ in self._observers:
            await observer.leave(signaling)
        self._observers, self._runs = [], []
        return {"left": left}

    async def obey(self, command: Command) -> dict[str, float]:
        """Do one thing."""
        if command.join:
            return await self.join(command.join, command.loss)
        if command.save:
            return await self.save(Path(command.save))
        return await self.leave() if command.leave else self.keep()


async def serve(*, headers: bool) -> None:
    """Do what standard input says, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with httpx.AsyncClient(timeout=JOIN_S, trust_env=False) as client, asyncio.TaskGroup() as group:
        watch = Watch(client, group, headers=headers)
        while line := await lines.readline():
            answer = await watch.obey(msgspec.json.decode(line, type=Command))
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
        await watch.leave()


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headers", action="store_true", help="keep no payloads")
    arguments = parser.parse_args()
    with on_loopback(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(headers=arguments.headers))


if __name__ == "__main__":
    start()
