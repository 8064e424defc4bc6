"""Joins by Chromium, one after the other: from the POST to the first picture that is rendered. Prints one JSON list.

    python -m bench.chromium_joins BASE PATH COUNT

needs Playwright (of the development packages) and Debian's Chromium; without either it says so and ends with status 3.
The page is the server's own, so that nothing is cross-origin; what joins is plain WHEP, since with a player its own
habits would be measured.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec

EXECUTABLE: Final = "/usr/bin/chromium"
ABSENT: Final = 3
JOIN_MS: Final = 30_000
FLAGS: Final = [
    "--no-sandbox",  # as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # on a machine with loopback only there is no other address to be reached at
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
JOIN: Final = """
async ([endpoint, patience]) => {
  const connection = new RTCPeerConnection();
  const video = document.createElement("video");
  video.muted = true;
  video.autoplay = true;
  document.body.append(video);
  const media = new MediaStream();
  video.srcObject = media;
  connection.ontrack = (event) => media.addTrack(event.track);
  const connected = new Promise((resolve) => {
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "connected") resolve(performance.now());
    };
  });
  const rendered = new Promise((resolve, reject) => {
    video.requestVideoFrameCallback(() => resolve(performance.now()));
    setTimeout(() => reject(new Error("no picture was rendered")), patience);
  });
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addTransceiver("audio", { direction: "recvonly" });
  await connection.setLocalDescription();
  const began = performance.now();
  const headers = { "Content-Type": "application/sdp" };
  const body = connection.localDescription.sdp;
  const reply = await fetch(endpoint, { method: "POST", headers, body });
  if (reply.status !== 201) throw new Error(`the offer was answered ${reply.status}`);
  const answer = await reply.text();
  const answered = performance.now();
  await connection.setRemoteDescription({ type: "answer", sdp: answer });
  const seen = await rendered;
  await fetch(reply.headers.get("Location"), { method: "DELETE" });
  connection.close();
  video.remove();
  return [answered - began, (await connected) - began, seen - began];
}
"""


class RenderedJoin(msgspec.Struct, frozen=True):
    """One join. Units: seconds from the POST."""

    answered_s: float
    connected_s: float
    rendered_s: float


async def joins(base: str, path: str, count: int) -> list[RenderedJoin]:
    """One after the other, after two that are not counted: the first loads Chromium's decoders."""
    from playwright.async_api import async_playwright

    made = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, headless=True, args=FLAGS)
        try:
            page = await browser.new_page()
            await page.goto(f"{base}/healthz")
            for number in range(count + 2):
                times_ms: list[float] = await page.evaluate(JOIN, [path, JOIN_MS])
                answered_s, connected_s, rendered_s = (each / 1000 for each in times_ms)
                made.append(RenderedJoin(answered_s, connected_s, rendered_s))
                await asyncio.sleep(0.13 * (1 + number % 3))
        finally:
            await browser.close()
    return made[2:]


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("path")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    try:
        import playwright  # noqa: F401  whether it is there
    except ImportError:
        sys.exit(ABSENT)
    if not Path(EXECUTABLE).exists():
        sys.exit(ABSENT)
    made = asyncio.run(joins(arguments.base, arguments.path, arguments.count))
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    start()
