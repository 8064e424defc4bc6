"""A WHIP publisher on aiortc: sound alone. Prints one JSON object.

    python -m tests.clients.aiortc_publisher WHIP_URL WAV_FILE SECONDS

Sends silence until it is connected, then the file once, in real time.
"""

import asyncio
import json
import sys
from fractions import Fraction
from importlib.metadata import version
from urllib.parse import urljoin

import httpx
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from tests.clients.publishable import OPUS_HZ
from tests.clients.pyav_publisher import sounds
from tests.clients.recording_viewer import loopback_candidates
from tests.clients.waiting import until

FRAME = OPUS_HZ // 50


class SpeechTrack(AudioStreamTrack):
    """A microphone: silence, once ``speak`` is called a file, then silence again."""

    def __init__(self, wav: str) -> None:
        super().__init__()
        self._speech = sounds(wav)
        self._begins: int | None = None
        self._count = 0
        self._start_s = 0.0

    def speak(self) -> None:
        """Begin with the file now."""
        self._begins = self._count

    @property
    def ended(self) -> bool:
        """Whether the file has been said."""
        return self._begins is not None and self._count >= self._begins + len(self._speech)

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        loop = asyncio.get_running_loop()
        self._start_s = self._start_s or loop.time()
        await asyncio.sleep(max(0.0, self._start_s + self._count / 50 - loop.time()))
        place = -1 if self._begins is None else self._count - self._begins
        if 0 <= place < len(self._speech):
            frame = self._speech[place]
        else:
            frame = AudioFrame(format="s16", layout="stereo", samples=FRAME)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.sample_rate, frame.time_base, frame.pts = OPUS_HZ, Fraction(1, OPUS_HZ), self._count * FRAME
        self._count += 1
        return frame


async def publish(url: str, wav: str, seconds: float) -> dict[str, object]:
    """Publish the file once."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = SpeechTrack(wav)
    connection.addTransceiver(track, "sendonly")
    try:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            with loopback_candidates():
                await connection.setLocalDescription(await connection.createOffer())
            headers = {"Content-Type": "application/sdp"}
            response = await client.post(url, content=connection.localDescription.sdp, headers=headers)
            assert response.status_code == 201, response.text
            await connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
            await until(lambda: connection.connectionState == "connected", seconds, "connected")
            track.speak()
            await until(lambda: track.ended, seconds, "the end of the file")
            location = urljoin(url, response.headers["Location"])
            deleted = (await client.delete(location)).status_code
    finally:
        await connection.close()
    return {"client": f"aiortc {version('aiortc')}", "location": location, "deleted": deleted}


async def main(url: str, wav: str, seconds: str) -> None:
    print(json.dumps(await publish(url, wav, float(seconds))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
