"""fastrtc's own server with the clip as what its handler gives; fastrtc paces nothing, so the handler keeps the clock.

    python fastrtc_server.py PORT FOLDER WIDTH HEIGHT FPS

runs in an environment of its own (``make rivals``) and imports nothing of ours.
"""

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
import uvicorn
from av import VideoFrame
from fastapi import FastAPI
from fastrtc import AsyncAudioVideoStreamHandler, Stream

SAMPLES = 960
MOST_VIEWERS = 100

port, folder, width, height, fps = int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6])
planar = np.memmap(folder / "pictures.i420", np.uint8, "r").reshape(-1, height * 3 // 2, width)
sound = np.fromfile(folder / "sound.s16", "<i2").reshape(-1, SAMPLES)
pictures = [VideoFrame.from_ndarray(np.asarray(each), "yuv420p").to_ndarray(format="bgr24") for each in planar]
"""What fastrtc takes from its handlers; converted before anybody watches."""


class Speaker(AsyncAudioVideoStreamHandler):
    """Gives the clip, picture k at k / fps."""

    def __init__(self):
        super().__init__("mono", output_sample_rate=48000, input_sample_rate=48000, output_frame_size=SAMPLES)
        self.began_s = None
        self.frame = self.packet = 0

    def copy(self):
        return Speaker()

    async def start_up(self):
        pass

    async def shutdown(self):
        pass

    async def receive(self, frame):
        pass

    async def video_receive(self, frame):
        pass

    async def until(self, media_s):
        """Sleep until that time of the clip."""
        self.began_s = self.began_s or time.monotonic()
        await asyncio.sleep(max(0.0, self.began_s + media_s - time.monotonic()))

    async def video_emit(self):
        await self.until(self.frame / fps)
        self.frame += 1
        return pictures[self.frame % len(pictures)]

    async def emit(self):
        await self.until(self.packet * SAMPLES / 48000)
        self.packet += 1
        return 48000, sound[self.packet % len(sound)][np.newaxis, :]


application = FastAPI()
stream = Stream(
    handler=Speaker(),
    modality="audio-video",
    mode="send-receive",
    concurrency_limit=MOST_VIEWERS,
    server_rtc_configuration={"iceServers": []},
)
stream.mount(application)
uvicorn.run(application, host="127.0.0.1", port=port, access_log=False, log_level="warning")
