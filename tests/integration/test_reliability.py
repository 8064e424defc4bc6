"""Faults of docs/reliability.md that no other file's tests make: whoever did not cause them notices nothing."""

import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from aiortc.rtp import is_rtcp

from tests.aiortc_player import Player, eventually, player
from tests.audio_files import tone, wav
from tests.clients.event_log import listening, speak
from tests.clients.recording_viewer import watching
from tests.clients.server_process import running_server
from tests.fakes import speech
from tests.integration.http_server import assert_problem
from tests.integration.joining import join, live_server, open_files, plays, until_viewers
from tests.integration.test_metrics import at, scrape
from tests.integration.test_records import demo_of, once
from tests.offers import offer
from whep_server.command import heads
from whep_server.settings import Settings

FRAME_TICKS = 90_000 // 25
HALF = b"POST /streams/demo/speech HTTP/1.1\r\nHost: localhost\r\nX-Half: "


async def test_two_hundred_requests_that_never_end_are_told_so_and_disturb_nobody(monkeypatch):
    monkeypatch.setattr(heads, "HEAD_S", 2.0)
    async with live_server() as http, player() as watching, AsyncExitStack() as stack:
        await join(http, watching)
        await plays(watching)
        before = open_files()
        host, port = http.base_url.host, http.base_url.port
        slow = [await asyncio.open_connection(host, port) for _ in range(200)]
        for _, writer in slow:
            stack.callback(writer.close)
            writer.write(HALF)
        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(reader.read()) for reader, _ in slow]
            assert (await http.post("/streams/demo/speech", content=speech(5))).status_code == 202
            await plays(watching, 10)
            for _, writer in slow:
                writer.write(b"a")  # a byte now and then does not help
        for end in ends:
            head, _, body = end.result().partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ") and b"problem+json" in head and b"did not come" in body
        for _, writer in slow:
            writer.close()
        await eventually(lambda: open_files() <= before)
        await plays(watching)


async def test_a_silent_connection_is_closed_and_one_that_is_kept_may_ask_again(monkeypatch):
    monkeypatch.setattr(heads, "HEAD_S", 0.5)
    async with live_server() as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        assert await reader.read() == b""  # nobody asked, so nobody is told
        writer.close()
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        for _ in range(2):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'"ok"' in await reader.readuntil(b"}")
        writer.write(b"\r\n" + HALF)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_five_hundred_joins_at_once_are_answered_or_refused_and_disturb_nobody():
    """None of them ever sends a check, so that all who were let in are given up."""
    async with live_server(offers_per_s=0, max_viewers=20, join_timeout_s=2) as http, player() as watching:
        await join(http, watching)
        await plays(watching)
        first = len(watching.packets["audio"])
        answers = await asyncio.gather(*(bare_join(http.base_url) for _ in range(500)))
        assert Counter(answer.split(maxsplit=2)[1] for answer in answers) == {"201": 19, "503": 481}
        refused = next(answer for answer in answers if " 503 " in answer)
        assert "20 viewers are watching" in refused and "\r\nretry-after: " in refused.lower()
        await plays(watching, 10)
        assert {later - earlier for earlier, later in pairwise(numbers(watching, "audio")[first:])} == {1}
        await until_viewers(http, 1)
        assert at(await scrape(http), "sessions_ended_total", kind="viewer", ending="expired") == 19


async def bare_join(base: httpx.URL) -> str:
    """What comes back on a connection of its own: 500 ordinary clients cost this process more than the server does."""
    body = offer()
    head = "POST /whep/demo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/sdp\r\n"
    reader, writer = await asyncio.open_connection(base.host, base.port)
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode()


def numbers(watching: Player, kind: str) -> list[int]:
    """The sequence numbers that came."""
    return [packet.sequence for packet in watching.packets[kind]]


class Road:
    """A way to a player on which three packets of ten are lost, media and what repairs it alike."""

    def __init__(self, watching: Player, loss: float) -> None:
        self._transport = watching.connection.getTransceivers()[0].receiver.transport.transport
        self._receive = self._transport._recv
        self._transport._recv = self._lossy
        self._chance, self.loss = random.Random(1), loss
        self.lost = 0

    async def _lossy(self) -> bytes:
        while True:
            data = await self._receive()
            if is_rtcp(data) or not 127 < data[0] < 192 or self._chance.random() >= self.loss:
                return data
            self.lost += 1


async def test_who_loses_thirty_per_cent_stays_and_costs_nobody_else_anything(on_air):
    """Of that only a part is repaired at once (``rtc/repeats.py``), the rest when nothing is lost any more.

    aiortc as a player shows nothing until it is, or until 512 packets have come.
    """
    async with on_air() as (registry, _), player() as unlucky, player() as lucky:
        stream, road = await demo_of(registry), Road(unlucky, 0.3)
        for each in (unlucky, lucky):
            await each.watch(stream)
            await each.until(lambda each=each: len(each.pictures) > 5)
        sounds = unlucky.sounds
        await unlucky.until(lambda: road.lost > 60 and unlucky.sounds > sounds)
        told = unlucky.session.stats()
        assert told.connection_state == "connected" and told.video.fraction_lost > 0.1
        assert told.video.nack_count > 0 and told.video.retransmitted_packets_sent > 0
        road.loss, seen, came = 0.0, len(unlucky.pictures), len(unlucky.packets["video"])
        await unlucky.until(lambda: len(unlucky.pictures) > seen + 25)
        assert len(unlucky.packets["video"]) - came < 256
        for kind in ("video", "audio"):
            assert {later - earlier for earlier, later in pairwise(numbers(lucky, kind))} == {1}
        assert lucky.session.stats().video.nack_count == 0


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
async def test_a_step_of_the_clock_is_not_seen_or_heard(on_air, monkeypatch, step_s):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 5)
        first, true_time = len(watching.packets["video"]), time.time
        monkeypatch.setattr(time, "time", lambda: true_time() + step_s)
        with stream.listen() as events:
            spoken = await stream.speak(once(speech(25)))
            async with asyncio.timeout(20):
                while (event := await anext(events)).data.get("state") != "finished":
                    assert event.kind != "speech" or event.data["state"] in ("queued", "started"), event
        assert event.data["utterance"] == spoken.id and event.data["played_s"] == 1.0
        await watching.until(lambda: len(watching.pictures) > 40)
        times = sorted({packet.time for packet in watching.packets["video"][first:]})
        assert {later - earlier for earlier, later in pairwise(times)} == {FRAME_TICKS}
        assert watching.connection.connectionState == "connected"


async def test_a_turn_server_that_is_down_keeps_nobody_from_joining():
    url = "turn:127.0.0.1:9?transport=tcp"
    async with live_server(turn_urls=url, turn_secret="word") as http, player() as watching:
        assert "typ relay" not in (await join(http, watching)).text
        await plays(watching)


@pytest.mark.timeout(400)
async def test_a_full_disk_and_a_damaged_avatar_cost_what_needs_them_and_nothing_else(tmp_path: Path):
    """No file may grow above 64 KiB: idle loops and large uploads do not fit."""
    shutil.copytree(Settings().assets / "avatars" / "nova", tmp_path / "avatars" / "broken")
    (tmp_path / "avatars" / "broken" / "avatar.json").write_text("{")
    command = ("prlimit", "--fsize=65536", sys.executable, "-m", "whep_server", "serve")
    folders = {"cache": str(tmp_path / "cache"), "avatars": str(tmp_path / "avatars")}
    small = {"width": "512", "height": "512", "fps": "10"}
    with running_server(log_name="full-disk", command=command, **folders, **small) as server:
        async with (
            listening(server.base) as events,
            watching(server.whep()) as viewer,
            httpx.AsyncClient(base_url=server.base, timeout=30, trust_env=False) as client,
        ):
            large = await client.post("/streams/demo/speech", content=wav(tone(40.0)))
            assert "no room" in str(assert_problem(large, 413)["detail"])
            damaged = await client.post("/streams", json={"name": "other", "avatar": "broken"})
            assert_problem(damaged, 404)
            utterance = await speak(server.base, wav(tone(1.0)))
            await events.wait(30, "speech", state="finished", utterance=utterance)
            await viewer.wait_pictures(10)
        log = server.log.read_text()
        assert "cannot be kept" in log and "avatar broken is left out" in log and "no room for an upload" in log
        assert not list((tmp_path / "cache").glob("*.part"))
