"""Chunk files as a real worker process makes them, put together by FFmpeg and by Chromium's MediaSource."""

import base64
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from playwright.async_api import Browser

from avatar.client import WorkerState
from avatar.messages import (
    Advance,
    CloseStream,
    Codec,
    Encoding,
    GoLive,
    OpenStream,
    RecordSpeech,
    SetEncodings,
    SpeechChunk,
    SpeechData,
    SpeechFinished,
    StreamOpened,
    WentIdle,
)
from tests.audio_files import tone, wav
from tests.movie_files import sound_of, split_header, tracks
from tests.worker_show import SHAPE, Show, run, seen_pictures, show, until

SECONDS = 7.3
FAR = 1 << 30
APPEND = """async ({ files, type }) => {
  const video = document.body.appendChild(Object.assign(document.createElement("video"), { muted: true }));
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
  const buffer = source.addSourceBuffer(type);
  buffer.mode = "sequence";
  for (const file of files) {
    const appended = new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", resolve, { once: true });
      buffer.addEventListener("error", reject, { once: true });
    });
    buffer.appendBuffer(Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0)));
    await appended;
  }
  source.endOfStream();
  const ranges = [];
  for (let index = 0; index < buffer.buffered.length; index += 1) {
    ranges.push([buffer.buffered.start(index), buffer.buffered.end(index)]);
  }
  video.playbackRate = 4;
  const ended = new Promise((resolve) => video.addEventListener("ended", resolve, { once: true }));
  await video.play();
  await ended;
  const { totalVideoFrames } = video.getVideoPlaybackQuality();
  return { ranges, duration: video.duration, error: video.error?.message ?? null, frames: totalVideoFrames };
}"""


async def record(stage: Show, upload: bytes, *, whole: bool = False) -> list[SpeechChunk]:
    """An upload recorded on a stream that nobody watches, as fast as can be."""
    await until(lambda: stage.client.state is WorkerState.READY)
    stage.client.send(OpenStream("r", "grey", SHAPE))
    stage.client.send(RecordSpeech("r", "u", 50, whole))
    await stage.accepted(upload, "u", "r")
    assert stage.seen.of(StreamOpened, "r")
    stage.client.send(GoLive("r", 0))
    stage.client.send(Advance("r", FAR, 0))
    await until(lambda: stage.seen.of(WentIdle, "r"))
    stage.client.send(CloseStream("r"))
    (finished,) = stage.seen.of(SpeechFinished, "r")
    assert finished.error is None
    return stage.seen.of(SpeechChunk, "r")


@pytest.fixture(scope="module", params=[44_100, 48_000])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[bytes]]:
    """How many 48 kHz samples were uploaded, and the chunks."""
    found: list[SpeechChunk] = []
    rate = request.param

    async def scenario() -> None:
        async with show(tmp_path_factory.mktemp("cache")) as stage:
            found.extend(await record(stage, wav(tone(SECONDS, 997, rate=rate), rate=rate)))

    run(scenario())
    return round(SECONDS * 48_000), [chunk.data for chunk in found]


def test_chunks_have_the_length_of_the_upload_to_the_sample(recorded: tuple[int, list[bytes]]):
    samples, files = recorded
    assert len(files) == 4
    assert sum(sum(tracks(file)[2].durations) for file in files) == samples
    assert len(sound_of(files)) == samples


def test_ffmpeg_decodes_each_and_all_together_without_a_complaint(recorded: tuple[int, list[bytes]], tmp_path: Path):
    _, files = recorded
    first, _ = split_header(files[0])
    joined = first + b"".join(split_header(file)[1] for file in files)
    for number, file in enumerate([*files, joined]):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(file)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-xerror", "-i", str(path)]
        for kind in ("v", "a"):
            decoded = subprocess.run(
                [*command, "-map", f"0:{kind}", "-f", "hash", "-"], capture_output=True, timeout=60, check=False
            )
            assert (decoded.returncode, decoded.stderr) == (0, b""), number


@pytest.mark.asyncio(loop_scope="session")
async def test_chromium_puts_them_together_without_a_gap(recorded: tuple[int, list[bytes]], visitors: Browser):
    samples, files = recorded
    page = await visitors.new_page()
    try:
        await page.goto("about:blank")
        played = await page.evaluate(
            APPEND,
            {
                "files": [base64.b64encode(file).decode() for file in files],
                "type": 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"',
            },
        )
    finally:
        await page.close()
    ((start, end),) = played["ranges"]
    assert start == 0
    assert end == pytest.approx(samples / 48_000, abs=0.001)
    assert played["error"] is None
    assert played["duration"] == pytest.approx(end, abs=0.001)
    assert played["frames"] >= 0.9 * sum(len(tracks(file)[1].durations) for file in files)


def test_pictures_between_those_that_are_drawn_are_the_same_again(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await until(lambda: stage.client.state is WorkerState.READY)
            stage.client.send(OpenStream("a", "grey", SHAPE, 10))
            await until(lambda: stage.seen.of(StreamOpened))
            stage.client.send(SetEncodings("a", [Encoding(Codec.H264)]))
            swell = tone(1.0) * np.linspace(0.1, 1.0, 48_000)
            await stage.accepted(wav(swell.astype(tone(0.1).dtype)))
            await stage.go_live(100)
            await stage.play_out()
            units = stage.seen.units(Codec.H264)
            (idle,) = stage.seen.of(WentIdle)
            assert [unit.media_time for unit in units] == [frame * 3600 for frame in range(100, idle.frame)]
            drawn = [len(unit.data) > 100 for unit in units]
            mouths = [picture[60:68, 60:68].astype(int) for picture in seen_pictures(units)]
            changes = [index for index in range(1, 25) if np.abs(mouths[index] - mouths[index - 1]).max() > 1]
            allowed = [index for index in range(1, 25) if (100 + index) * 10 // 25 != (99 + index) * 10 // 25]
            assert set(changes) <= set(allowed) and len(changes) >= len(allowed) - 2, drawn
            assert mouths[-1].max() < 20, "shut at the end"

    run(scenario())


def test_a_whole_file_is_made_in_pieces(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            pieces = await record(stage, wav(tone(4.5)), whole=True)
            movie = b"".join(piece.data for piece in pieces)
            assert [piece.index for piece in pieces] == [0, 1, 2]
            assert len(tracks(movie)[1].durations) == 112
            assert sum(tracks(movie)[2].durations) == 216_000

    run(scenario())


def test_a_file_that_breaks_off_is_recorded_as_far_as_it_goes(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            broken = wav(tone(3.0))[: 2 * 48_000 * 2]
            await until(lambda: stage.client.state is WorkerState.READY)
            stage.client.send(OpenStream("r", "grey", SHAPE))
            stage.client.send(RecordSpeech("r", "u", 50))
            stage.client.send(SpeechData("r", "u", 0, broken[:1000], last=False))
            stage.client.send(CloseStream("r"))  # in the middle of the upload
            assert [chunk.frames for chunk in await record(stage, broken)] == [49]

    run(scenario())
