"""pipecat's own WebRTC transport with the clip as what its pipeline puts out.

    python pipecat_server.py PORT FOLDER WIDTH HEIGHT FPS

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
from pipecat.frames.frames import OutputAudioRawFrame, OutputImageRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

port, folder, width, height, fps = int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6])
planar = np.memmap(folder / "pictures.i420", np.uint8, "r").reshape(-1, height * 3 // 2, width)
sound = np.fromfile(folder / "sound.s16", "<i2")
samples = 48000 // fps
pictures = [
    VideoFrame.from_ndarray(np.asarray(each), "yuv420p").to_ndarray(format="rgb24").tobytes() for each in planar
]
"""What pipecat takes; converted before anybody watches."""

application = FastAPI()
calls = set()


async def feed(task):
    """Queue picture k and its sound at k / fps."""
    began_s = time.monotonic()
    frame = 0
    while True:
        first = frame * samples % (len(sound) - samples)
        await task.queue_frame(
            OutputImageRawFrame(image=pictures[frame % len(pictures)], size=(width, height), format="RGB")
        )
        await task.queue_frame(
            OutputAudioRawFrame(audio=sound[first : first + samples].tobytes(), sample_rate=48000, num_channels=1)
        )
        frame += 1
        await asyncio.sleep(max(0.0, began_s + frame / fps - time.monotonic()))


async def speak(connection):
    """One viewer's pipeline, from its connection to its end."""
    parameters = TransportParams(
        audio_out_enabled=True,
        audio_out_sample_rate=48000,
        video_out_enabled=True,
        video_out_width=width,
        video_out_height=height,
        video_out_framerate=fps,
        video_out_is_live=True,
    )
    transport = SmallWebRTCTransport(connection, parameters)
    task = PipelineTask(
        Pipeline([transport.output()]), params=PipelineParams(audio_out_sample_rate=48000), idle_timeout_secs=None
    )
    feeds = []

    @transport.event_handler("on_client_connected")
    async def connected(_transport, _client):
        feeds.append(asyncio.create_task(feed(task)))

    @transport.event_handler("on_client_disconnected")
    async def disconnected(_transport, _client):
        for each in feeds:
            each.cancel()
        await task.cancel()

    await PipelineRunner(handle_sigint=False).run(task)


@application.post("/api/offer")
async def offer(request: dict):
    """Answer one viewer."""
    connection = SmallWebRTCConnection([])
    await connection.initialize(sdp=request["sdp"], type=request["type"])
    call = asyncio.create_task(speak(connection))
    calls.add(call)
    call.add_done_callback(calls.discard)
    return connection.get_answer()


uvicorn.run(application, host="127.0.0.1", port=port, access_log=False, log_level="warning")
