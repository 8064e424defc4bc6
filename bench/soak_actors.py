"""Who keeps a server busy for hours: talkers who cut themselves off now and then, visitors that come and go."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
import numpy as np

from bench.faults import CAUGHT, reasons
from bench.pcm_client import PcmClient, pcm_client
from bench.processes import Child
from bench.served import Served
from bench.speech_clips import Samples, bursts, pcm_bytes, wav_file

RATE_HZ: Final = 16_000
WAIT_S: Final = 60.0
SAID_S: Final = (0.5, 7.0)
PAUSE_S: Final = (0.0, 3.0)
STAY_S: Final = (3.0, 12.0)
GONE_S: Final = 1.0
"""After visitors have left: what was theirs is given back."""
MOST_VISITORS: Final = 4
VISITORS_LOSS: Final = 0.02
OFTEN: Final = {"interrupt": 0.3, "vanish": 0.05}
"""How probable it is that an utterance is interrupted, or that its client goes away in mid-word."""


@dataclass(slots=True)
class Diary:
    """What happened, counted, and what went wrong, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    async def note(self, what: str, doing: Coroutine[object, object, None]) -> None:
        """Do it; count it, or write down why it failed."""
        try:
            await doing
            self.counts[what] += 1
        except CAUGHT as error:
            self.faults += [f"{what}: {reason}" for reason in reasons(error)]


class Talker:
    """Speaks into one stream, until it is cancelled. Who holds its ``turn`` has the stream to themselves."""

    def __init__(self, served: Served, stream: str, speech: Samples, diary: Diary, seed: int) -> None:
        """Shapes: speech (n,), at ``RATE_HZ``."""
        self.stream, self.turn = stream, asyncio.Lock()
        self._served, self._speech, self._diary = served, speech, diary
        self._chance = random.Random(f"talker {seed}")  # small numbers begin too much alike

    async def run(self) -> None:
        """For ever."""
        # the server closes what was idle for 5 s, which must not be just when it is used again
        kept = httpx.Limits(keepalive_expiry=2.0)
        async with httpx.AsyncClient(base_url=self._served.base, timeout=WAIT_S, trust_env=False, limits=kept) as http:
            while True:
                async with self.turn:
                    way = self._chance.choice(["a file", "PCM at once", "PCM in real time"])
                    await self._diary.note(way, self._say(http, way))
                await asyncio.sleep(self._chance.uniform(*PAUSE_S))

    async def _say(self, http: httpx.AsyncClient, way: str) -> None:
        await (self._upload(http) if way == "a file" else self._stream(real_time=way == "PCM in real time"))
        async with asyncio.timeout(WAIT_S):
            while (await http.get(f"/streams/{self.stream}")).json()["state"] != "idle":  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def _said(self) -> Samples:
        first = self._chance.randrange(len(self._speech))
        return np.roll(self._speech, -first)[: int(self._chance.uniform(*SAID_S) * RATE_HZ)]

    async def _upload(self, http: httpx.AsyncClient) -> None:
        said = self._said()
        reply = await http.post(f"/streams/{self.stream}/speech", content=wav_file(said, RATE_HZ))
        reply.raise_for_status()
        if self._chance.random() < OFTEN["interrupt"]:
            await asyncio.sleep(self._chance.uniform(0, len(said) / RATE_HZ))
            (await http.post(f"/streams/{self.stream}/interrupt")).raise_for_status()
            self._diary.counts["interrupted"] += 1

    async def _stream(self, *, real_time: bool) -> None:
        said = self._said()
        async with pcm_client(self._served.base, self.stream) as client, asyncio.TaskGroup() as group:
            await client.begin(RATE_HZ)
            sending = group.create_task(_send_whole(client, said, real_time=real_time))
            chance = self._chance.random()
            if chance < OFTEN["interrupt"] + OFTEN["vanish"]:
                await client.until("started", "finished", "failed", "error")
                await asyncio.sleep(self._chance.uniform(0, len(said) / RATE_HZ))
            if chance < OFTEN["vanish"]:
                sending.cancel()
                self._diary.counts["vanished"] += 1
                return
            if chance < OFTEN["interrupt"] + OFTEN["vanish"]:
                sending.cancel()
                await client.cancel()
                self._diary.counts["interrupted"] += 1
            await client.until("finished", "interrupted", "failed", "error")

    async def say_bursts(self, seconds: float, seed: int) -> None:
        """What sound and lips can be compared by; the caller holds the ``turn``. Errors: BenchFailed."""
        async with pcm_client(self._served.base, self.stream) as client:
            await client.begin(RATE_HZ)
            await _send_whole(client, bursts(seconds, RATE_HZ, seed).samples, real_time=True)
            await client.until("finished", "interrupted", "failed", "error")


async def _send_whole(client: PcmClient, said: Samples, *, real_time: bool) -> None:
    await client.send(pcm_bytes(said), RATE_HZ, real_time=real_time)
    if not client.is_over():
        await client.commit()


async def visit(
    process: Child, endpoints: Sequence[str], diary: Diary, look: Callable[[], Coroutine[object, object, None]]
) -> None:
    """Visitors that come, stay for a while and leave, for ever; ``look`` is called each time that nobody is there."""
    chance = random.Random("visitors")
    while True:
        chosen = [chance.choice(endpoints) for _ in range(chance.randint(1, MOST_VISITORS))]
        joining = {"join": chosen, "loss": chance.choice([0.0, VISITORS_LOSS])}
        await diary.note("visits", _ask(process, joining))
        diary.counts["visitors"] += len(chosen)
        await asyncio.sleep(chance.uniform(*STAY_S))
        await diary.note("departures", _ask(process, {"leave": True}))
        await asyncio.sleep(GONE_S)
        await look()
        await asyncio.sleep(chance.uniform(*PAUSE_S))


async def _ask(process: Child, message: dict[str, object]) -> None:
    await asyncio.to_thread(process.ask, message, WAIT_S)
