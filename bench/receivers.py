"""Many cheap viewers in one process: observers that count what comes by its headers, and decrypt a sample of it.

Hundreds fit beside the server they load. Commands come as JSON lines on standard input, each is answered by one line:

    {"join": 9}                  nine more viewers; answered when media can flow to all that could join
    {"join": 9, "at_once": 9}    the same, all at once
    {"count": 20}                what all viewers together received in so many seconds
    {"leave": 3}                 the three that came first end their sessions
"""

import argparse
import asyncio
import gc
import sys
import time
from contextlib import nullcontext
from typing import Final

import httpx
import msgspec
import uvloop

from bench.observer import JOIN_S, JsonOffer, Observer, Signaling, Whep, Wish, on_loopback

JOINS_AT_ONCE: Final = 4
"""Handshakes cost both ends; a crowd at once would time out on a small machine."""
TRIED_EVERY: Final = 64
"""Of so many packets one is decrypted, to see that it is meant for this viewer."""


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """One line of standard input."""

    join: int = 0
    at_once: int = JOINS_AT_ONCE
    count: float = 0
    leave: int = 0


class Uninterested:
    """A tap for who only counts."""

    def take(self, kind: str, at_s: float, packet: bytes) -> None:
        """As ``observer.Tap``."""

    def report(self, kind: str, ntp_s: float, rtp_time: int) -> None:
        """As ``observer.Tap``."""


class Crowd:
    """All viewers of this process."""

    def __init__(self, signaling: Signaling, wish: Wish, group: asyncio.TaskGroup) -> None:
        self._signaling, self._wish, self._group = signaling, wish, group
        self._viewers: dict[Observer, asyncio.Task[None]] = {}

    async def join(self, count: int, at_once: int) -> dict[str, float]:
        """So many more; who cannot join is counted."""
        gate, began_s = asyncio.Semaphore(at_once), time.monotonic()
        async with asyncio.TaskGroup() as group:
            joins = [group.create_task(self._one(gate)) for _ in range(count)]
        took_s = time.monotonic() - began_s
        gc.collect()
        gc.freeze()
        failed = sum(not join.result() for join in joins)
        return {"viewers": len(self._viewers), "failed": failed, "seconds": took_s}

    async def _one(self, gate: asyncio.Semaphore) -> bool:
        viewer = Observer(Uninterested(), self._wish)
        async with gate:
            try:
                await viewer.join(self._signaling)
            except (httpx.HTTPError, TimeoutError) as error:
                print(f"a viewer could not join: {error!r}", file=sys.stderr)
                await viewer.connection.close()
                return False
            self._viewers[viewer] = self._group.create_task(viewer.run())
            return True

    async def count(self, seconds: float) -> dict[str, float]:
        """What comes in so many seconds, to all viewers together. ``cpu_s``: what receiving it took."""
        flows = [flow for viewer in self._viewers for flow in viewer.flows]
        for flow in flows:
            flow.restart()
        tried, rejected = self._tried()
        began_s, cpu_s = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        video = [flow for flow in flows if flow.kind == "video"]
        packets = sum(flow.packets for flow in flows)
        verified_now, rejected_now = self._tried()
        return {
            "seconds": time.monotonic() - began_s,
            "frames": sum(flow.frames for flow in video),
            "video_packets": sum(flow.packets for flow in video),
            "audio_packets": packets - sum(flow.packets for flow in video),
            "octets": sum(flow.octets for flow in flows),
            "lost": sum(flow.expected for flow in flows) - packets,
            "verified": verified_now - tried,
            "rejected": rejected_now - rejected,
            "cpu_s": time.process_time() - cpu_s,
        }

    def _tried(self) -> tuple[int, int]:
        return sum(viewer.verified for viewer in self._viewers), sum(viewer.rejected for viewer in self._viewers)

    async def leave(self, count: int) -> dict[str, float]:
        """End some sessions."""
        for viewer in list(self._viewers)[:count]:
            self._viewers.pop(viewer).cancel()
            await viewer.leave(self._signaling)
        return {"viewers": len(self._viewers)}

    async def obey(self, command: Command) -> dict[str, float]:
        """Do one thing."""
        if command.join:
            return await self.join(command.join, command.at_once)
        return await (self.leave(command.leave) if command.leave else self.count(command.count))


async def serve(endpoint: str, codec: str, *, json_offer: bool) -> None:
    """Do what standard input says, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with httpx.AsyncClient(timeout=JOIN_S, trust_env=False) as client, asyncio.TaskGroup() as group:
        signaling = JsonOffer(client, endpoint) if json_offer else Whep(client, endpoint)
        wish = Wish(codec=codec, decrypt_every=TRIED_EVERY, conversation=json_offer)
        crowd = Crowd(signaling, wish, group)
        while line := await lines.readline():
            answer = await crowd.obey(msgspec.json.decode(line, type=Command))
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
        await crowd.leave(sys.maxsize)


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="WHEP address of a stream")
    parser.add_argument("--codec", choices=("H264", "VP8"), default="H264")
    parser.add_argument("--json-offer", action="store_true", help="it is no WHEP but what fastrtc and pipecat speak")
    parser.add_argument("--all-addresses", action="store_true", help="it offers none on 127.0.0.1")
    arguments = parser.parse_args()
    with (
        nullcontext() if arguments.all_addresses else on_loopback(),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(serve(arguments.endpoint, arguments.codec, json_offer=arguments.json_offer))


if __name__ == "__main__":
    start()
