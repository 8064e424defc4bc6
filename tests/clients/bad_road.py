"""A link between two network namespaces that delays, loses, doubles, reorders and queues packets, as netem does.

    python -m tests.clients.bad_road NEAR FAR delay_ms=40 jitter_ms=5 loss=0.02 reorder=0.01 rate_kbps=400 seed=1

A TUN device in each namespace, named ``tunnel``, and this process between them. The same seed does the same to the same
packets. Prints ``up`` when packets can flow and, when it is asked to end by SIGTERM, what became of them as JSON. Root.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

DEVICE = "tunnel"
NEAR, FAR = "10.203.0.1", "10.203.0.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 65536
LONGEST_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Road:
    """What happens on it, the same in both directions."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """The delay is between so much less and so much more; the order stays."""
    loss: float = 0.0
    doubled: float = 0.0
    reorder: float = 0.0
    """So many go ahead of the delay, and of those before them."""
    rate_kbps: float = 0.0
    """0: no limit."""
    queue_ms: float = 300.0
    """What would wait for longer at that rate is lost."""
    seed: int = 1


@dataclass(slots=True)
class Fate:
    """How many packets got where."""

    passed: int = 0
    lost: int = 0
    overflowed: int = 0


class Direction:
    """One of the two directions: says when each packet arrives."""

    def __init__(self, road: Road, seed: int) -> None:
        self._road, self._chance = road, random.Random(seed)
        self._free_s = self._last_s = 0.0
        self.fate = Fate()

    def arrivals(self, size: int, now_s: float) -> list[float]:
        """When a packet of so many bytes comes out: never, once or twice."""
        road, chance = self._road, self._chance
        if chance.random() < road.loss:
            self.fate.lost += 1
            return []
        at_s = now_s
        if road.rate_kbps:
            at_s = max(now_s, self._free_s)
            if at_s - now_s > road.queue_ms / 1000:
                self.fate.overflowed += 1
                return []
            at_s = self._free_s = at_s + size * 8 / (road.rate_kbps * 1000)
        if chance.random() >= road.reorder:
            at_s += max(0.0, road.delay_ms + chance.uniform(-road.jitter_ms, road.jitter_ms)) / 1000
            at_s = self._last_s = max(at_s, self._last_s)
        self.fate.passed += 1
        return [at_s] * (2 if chance.random() < road.doubled else 1)


def open_tun(namespace: str, address: str) -> int:
    """A TUN device inside a namespace; what is written to the descriptor arrives there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as here, Path(f"/run/netns/{namespace}").open() as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
            for command in (
                f"link set {DEVICE} addrgenmode none",
                f"address add {address}/24 dev {DEVICE}",
                f"link set {DEVICE} up",
            ):
                subprocess.run(["ip", *command.split()], check=True, timeout=10)
        finally:
            libc.setns(here.fileno(), CLONE_NEWNET)
    return device


def packets(device: int) -> Iterator[bytes]:
    """What waits to be carried."""
    with suppress(BlockingIOError):
        while True:
            yield os.read(device, MTU)


def carry(near: int, far: int, road: Road) -> Iterator[None]:
    """Carry packets for ever; yields now and then. Ends never by itself."""
    ways = {near: (far, Direction(road, road.seed)), far: (near, Direction(road, road.seed + 1))}
    under_way: list[tuple[float, int, int, bytes]] = []
    serial = 0
    poll = select.epoll()
    for device in ways:
        poll.register(device, select.EPOLLIN)
    try:
        while True:
            next_s = under_way[0][0] - time.monotonic() if under_way else LONGEST_WAIT_S
            for device, _ in poll.poll(min(max(next_s, 0.0), LONGEST_WAIT_S)):
                target, direction = ways[device]
                for packet in packets(device):
                    for at_s in direction.arrivals(len(packet), time.monotonic()):
                        serial += 1
                        heapq.heappush(under_way, (at_s, serial, target, packet))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(under_way)
                with suppress(OSError):  # the device's own queue is full, or its host is going away
                    os.write(target, packet)
            yield
    finally:
        print(json.dumps([asdict(direction.fate) for _, direction in ways.values()]), flush=True)


def main(near: str, far: str, *settings: str) -> None:
    values = {name: float(value) for name, value in (each.split("=") for each in settings)}
    road = Road(**values | {"seed": int(values.get("seed", 1))})  # type: ignore[arg-type]
    devices = open_tun(near, NEAR), open_tun(far, FAR)
    print("up", flush=True)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    carrying = carry(*devices, road)
    while not asked:
        next(carrying)
    carrying.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
