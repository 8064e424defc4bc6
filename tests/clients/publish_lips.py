"""A sentence published over WHIP by a real encoder, and the lips that a viewer then sees. Prints one JSON object.

    python -m tests.clients.publish_lips BASE ffmpeg|gstreamer VOICE

Runs where publisher, viewer and server can reach each other: on loopback for FFmpeg, inside a network namespace for
GStreamer, whose ICE ignores 127.0.0.1.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from tests.clients.event_log import listening
from tests.clients.ffmpeg_publisher import ffmpeg_publish
from tests.clients.lip_reading import read_lips
from tests.clients.picture_steps import Aligned, Reference
from tests.clients.recording_viewer import watching
from tests.clients.speech_files import Sentence, sentence, wav_file

GST_PYTHON = "/usr/bin/python3"
GST_PUBLISHER = Path(__file__).with_name("gst_publisher.py")
PUBLISH_S = 60

LEAD_S = 1.0
"""Silence before the sentence: what an encoder has gathered while it connected comes all at once."""
TAIL_S = 1.0


def command_of(publisher: str, url: str, wav: Path) -> list[str]:
    """The command line of an encoder."""
    if publisher == "ffmpeg":
        return ffmpeg_publish(url, wav, lead_s=LEAD_S)
    return [GST_PYTHON, str(GST_PUBLISHER), url, str(wav), str(PUBLISH_S)]


def with_tail(spoken: Sentence) -> bytes:
    """The sentence as a file with silence after it."""
    samples = (spoken.samples * 32768).astype("<i2").tobytes()
    return wav_file(samples + bytes(2 * int(TAIL_S * spoken.rate_hz)), spoken.rate_hz)


@asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher that is ended, by its id, when the block is left."""
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def measure(base: str, publisher: str, voice: str) -> dict[str, float]:
    """Publish, watch, and hold the lips against the phonemes."""
    spoken = sentence(voice)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "sentence.wav"
        wav.write_bytes(with_tail(spoken))
        command = command_of(publisher, f"{base}/whip/demo", wav)
        async with listening(base) as events, watching(f"{base}/whep/demo") as viewer:
            await events.wait_idle(60)
            await viewer.wait_pictures(10)
            async with running(command):
                await events.wait(30, "speech", state="started")
                await events.wait(90, "speech", state="finished")
            await events.wait_idle(10)
            await viewer.wait_pictures(10)
    return asdict(read_lips(Aligned(Reference(), viewer.pictures), viewer, spoken))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(*sys.argv[1:]))))
