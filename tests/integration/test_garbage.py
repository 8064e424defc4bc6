"""Ten thousand requests that nobody should send: each is answered, and nothing is left of them.

The server runs in the test's own event loop, on a real socket, with real peer connections, so that what it holds can be
counted; only its worker is a fake. A real viewer watches all the while. Then the same at a real process, from outside.
"""

import asyncio
import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import httpx
import psutil
from aiortc import RTCPeerConnection

from tests.aiortc_player import Packet, Seen, player
from tests.clients.raw_http import RawConnection, connected
from tests.clients.server_process import running_server
from tests.clients.waiting import until
from tests.garbage import Garbage, Shot
from tests.integration.http_server import until_answer
from tests.integration.joining import join, live_server, open_files, plays, post
from tests.offers import offer
from whep_server.live.session import Session

REQUESTS = 10_000
WARM_UP = 1_500
"""Of the same kind: caches fill, threads start, memory is asked for once."""
REAL_REQUESTS = 3_000
BATCH = 500
"""After so many, the viewer must have got further pictures."""
CONNECTIONS = 12
ANSWER_S = 15.0
"""Within that, each request is answered, on a machine that does other things too."""
SETTLE_S = 20
MORE_BYTES = 24 * 1024 * 1024
"""What the process may have grown by: 2.4 KB a request. One peer connection that stays open has 150 KB."""
MORE_OBJECTS = 5_000
"""By how many the objects that Python keeps track of may have grown: one for every second request."""


POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""What ``asyncio.to_thread`` may start (ThreadPoolExecutor's default)."""


@dataclass(frozen=True)
class Held:
    """What the process holds."""

    tasks: int
    files: int
    threads: int
    peers: int
    sessions: int
    objects: int
    rss_bytes: int

    @classmethod
    def now(cls) -> "Held":
        gc.collect()
        objects = gc.get_objects()
        kinds = Counter(type(each) for each in objects)
        return cls(
            tasks=len(asyncio.all_tasks()),
            files=open_files(),
            threads=threading.active_count(),
            peers=kinds[RTCPeerConnection],
            sessions=kinds[Session],
            objects=len(objects) - kinds[Packet] - kinds[Seen],  # what the viewer notes
            rss_bytes=psutil.Process().memory_info().rss,
        )

    def no_more_than(self, before: "Held") -> bool:
        """Counts are as they were; memory is near enough."""
        counts = ("tasks", "files", "threads", "peers", "sessions")
        return (
            all(getattr(self, name) <= getattr(before, name) for name in counts)
            and self.objects <= before.objects + MORE_OBJECTS
            and self.rss_bytes <= before.rss_bytes + MORE_BYTES
        )


async def all_threads() -> None:
    """Have the event loop's pool start all the threads that it may have: it never ends one."""
    together = threading.Barrier(POOL_THREADS)
    await asyncio.gather(*(asyncio.to_thread(together.wait) for _ in range(POOL_THREADS)))


class Gunner:
    """Fires at one server over one connection after the other, and counts what comes back."""

    def __init__(self, http: httpx.AsyncClient, garbage: Garbage) -> None:
        self.address = http.base_url.host, http.base_url.port or 80
        self.garbage = garbage
        self.statuses: Counter[int] = Counter()
        self.unanswered: list[bytes] = []
        """Requests that were HTTP and got no answer."""
        self.wrong: list[tuple[int, bytes]] = []

    async def fire(self, numbers: Iterator[int], last: int) -> None:
        """Requests until ``numbers`` reaches ``last``."""
        while True:
            async with connected(*self.address) as connection:
                kept = True
                while kept:
                    if next(numbers) > last:
                        return
                    kept = await self._exchange(connection, self.garbage.shot())

    async def _exchange(self, connection: RawConnection, shot: Shot) -> bool:
        """One request; whether the connection is still good."""
        async with asyncio.timeout(ANSWER_S):
            await connection.send(shot.data)
            if shot.broken_off:
                return False
            try:
                answer = await connection.answer(head=shot.method == "HEAD")
            except ConnectionError:
                if shot.framed:
                    self.unanswered.append(shot.data)
                return False
        self.statuses[answer.status] += 1
        if answer.status >= 500 and not (answer.status == 503 and int(answer.headers.get("retry-after", "0")) > 0):
            self.wrong.append((answer.status, shot.data))
        if answer.status == 201 and answer.headers.get("content-type") == "application/sdp":
            self.garbage.sessions.append(answer.headers["location"])
        return answer.kept and shot.framed

    async def fire_all(self, requests: int) -> None:
        """So many requests, over several connections at once."""
        numbers = count(1)
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self.fire(numbers, requests))
        assert not self.unanswered, self.unanswered[0]
        assert not self.wrong, self.wrong[0]


async def settled(before: Held) -> None:
    """Wait until the process holds no more than before."""
    after = Held.now()
    for _ in range(SETTLE_S):
        if after.no_more_than(before):
            break
        await asyncio.sleep(1)  # what was given up closes in its own time, and each look costs a collection
        after = Held.now()
    assert after.no_more_than(before), f"{before} became {after}"


async def quiet(http: httpx.AsyncClient, viewers: int) -> None:
    """Wait until what was begun is over; garbage that was taken for a text is not to be read to its end."""
    await http.post("/streams/demo/interrupt")
    await until_answer(http, "/streams/demo", lambda answer: answer.json()["viewers"] == viewers)
    await until_answer(http, "/streams/demo", lambda answer: not answer.json()["publisher"])


async def test_ten_thousand_garbage_requests_are_answered_and_leave_nothing(caplog):
    async with live_server(offers_per_s=0, max_viewers=24, join_timeout_s=0.5) as http, player() as peer:
        await join(http, peer)
        await plays(peer)
        gunner = Gunner(http, Garbage(seed=20261125))
        await gunner.fire_all(WARM_UP)
        await all_threads()
        await quiet(http, 1)
        caplog.clear()
        before = Held.now()
        for _ in range(REQUESTS // BATCH):
            await gunner.fire_all(BATCH)
            await plays(peer)
        await quiet(http, 1)
        assert not [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
        caplog.clear()
        await settled(before)
        # the shots were what they were meant to be: some hit, most did not
        for status in (200, 201, 204, 400, 404, 405, 409, 415, 422):
            assert gunner.statuses[status], gunner.statuses
        await plays(peer)


async def test_the_real_process_is_as_it_was_after_garbage():
    limits = {"offers_per_s": "0", "max_viewers": "24", "join_timeout_s": "0.5"}
    with running_server(log_name="garbage", **limits) as server:
        process = server.process
        async with httpx.AsyncClient(base_url=server.base, trust_env=False) as http:
            gunner = Gunner(http, Garbage(seed=1))
            await gunner.fire_all(WARM_UP)
            await quiet(http, 0)
            files, threads, rss_bytes = process.num_fds(), process.num_threads(), process.memory_info().rss
            await gunner.fire_all(REAL_REQUESTS)
            await quiet(http, 0)
            await until(lambda: process.num_fds() <= files, SETTLE_S, f"{files} files open, as before")
            assert process.num_threads() <= threads + POOL_THREADS
            assert process.memory_info().rss <= rss_bytes + MORE_BYTES
        assert server.is_ready() and "Traceback" not in server.log.read_text(errors="replace")


async def test_offers_beyond_the_pace_are_429_and_leave_nothing():
    async with live_server(offers_per_s=1, offer_burst=3, join_timeout_s=0.5) as http:
        await post(http, offer())
        await quiet(http, 0)
        before = Held.now()
        answers = [await post(http, offer()) for _ in range(20)]
        statuses = [each.status_code for each in answers]
        assert statuses[0] == 201 and 429 in statuses and set(statuses) <= {201, 429}
        assert all(int(each.headers["retry-after"]) >= 1 for each in answers if each.status_code == 429)
        await quiet(http, 0)
        await settled(before)
