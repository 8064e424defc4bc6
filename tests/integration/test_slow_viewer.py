"""Chromium on a network that carries 400 kbit/s, beside a viewer whose network carries all; then without the limit."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import TypedDict

import httpx
import pytest
from playwright.async_api import Page

from tests.audio_files import tone, wav
from tests.clients.chromium import chromium_page
from tests.clients.event_log import listening, speak
from tests.clients.narrow_road import NarrowRoad, narrow_road
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server, running_server
from tests.clients.waiting import until

pytestmark = pytest.mark.timeout(300)  # the smaller idle loops may have to be encoded

FRAME = 3600
FULL, SMALL = (1280, 720), (640, 360)
SPOKEN_S = 6.0
"""Long enough for the viewer to change over in mid-speech."""

OFFER = """async () => {
  const peer = window.peer = new RTCPeerConnection();
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.append(video);
  peer.ontrack = ({ track }) => { if (track.kind === "video") video.srcObject = new MediaStream([track]); };
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  await peer.setLocalDescription(await peer.createOffer());
  while (peer.iceGatheringState !== "complete") await new Promise(resolve => setTimeout(resolve, 20));
  return peer.localDescription.sdp;
}"""
STATS = """async () => {
  const reports = [...(await peer.getStats()).values()];
  const video = reports.find(each => each.type === "inbound-rtp" && each.kind === "video") ?? {};
  return { size: [video.frameWidth ?? 0, video.frameHeight ?? 0], decoded: video.framesDecoded ?? 0,
           lost: video.packetsLost ?? 0, frozen_s: video.totalFreezesDuration ?? 0 };
}"""


class Shown(TypedDict):
    """What a page tells of its pictures."""

    size: list[int]
    decoded: int
    lost: int
    frozen_s: float


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One that tells of its idle loops; most of them come from the cache."""
    with running_server(log_name="slow-viewer", log_level="DEBUG") as running:
        yield running


async def join(page: Page, server: Server, road: NarrowRoad) -> None:
    """Have the page watch over the road."""
    offer = road.offer(await page.evaluate(OFFER))
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(server.whep(), content=offer, headers={"Content-Type": "application/sdp"})
    assert response.status_code == 201, response.text
    answer = road.answer(response.text)
    await page.evaluate("answer => peer.setRemoteDescription({ type: 'answer', sdp: answer })", answer)


async def shows(page: Page, seconds: float, *, least: int = 0, width: int = 0, most_width: int = FULL[0]) -> Shown:
    """Wait until so many pictures were decoded and the newest has such a width."""
    async with asyncio.timeout(seconds):
        while True:
            shown: Shown = await page.evaluate(STATS)
            if shown["decoded"] >= least and width <= shown["size"][0] <= most_width:
                return shown
            await asyncio.sleep(0.1)


async def test_a_slow_network_gets_a_fluent_small_picture_and_nobody_else_notices(server: Server):
    async with (
        watching(server.whep()) as wide,
        listening(server.base) as events,
        narrow_road(400_000) as road,
        chromium_page(f"{server.base}/healthz") as page,
    ):
        await until(lambda: "640x360@25 H264: ready" in server.log.read_text(), 120, "the small idle loop")
        utterance = await speak(server.base, wav(tone(SPOKEN_S)))
        await events.wait(30, "speech", state="started", utterance=utterance)
        await join(page, server, road)
        await shows(page, 20, least=1, width=SMALL[0], most_width=SMALL[0])
        await events.wait(30, "speech", state="finished", utterance=utterance)
        await events.wait_idle(10)

        settled = await shows(page, 10, least=(await shows(page, 10))["decoded"] + 50)
        dropped, beside = road.dropped, len(wide.pictures)
        fluent = await shows(page, 6, least=settled["decoded"] + 75)
        assert tuple(settled["size"]) == tuple(fluent["size"]) == SMALL
        assert (fluent["lost"], road.dropped) == (settled["lost"], dropped)
        assert fluent["frozen_s"] - settled["frozen_s"] < 0.75
        pictures = wide.pictures[beside:]
        assert {later.rtp_time - earlier.rtp_time for earlier, later in pairwise(pictures)} == {FRAME}

        road.rate_bps = None
        larger = await shows(page, 90, width=SMALL[0] + 1)
        after = await shows(page, 10, least=larger["decoded"] + 25)
        assert after["size"][0] > SMALL[0] and after["lost"] == fluent["lost"]
    assert {(picture.frame.width, picture.frame.height) for picture in wide.pictures} == {FULL}
    assert wide.video.lost() == wide.audio.lost() == 0
