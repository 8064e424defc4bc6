"""A user's video: any container and codec FFmpeg reads in, upright pictures at 25 a second out. No thread.

The bytes are hostile, as those of ``avatar.decode`` are: FFmpeg sees nothing but the given file object and only formats
that hold pictures themselves; size, length and idle time are bounded, and who calls this does so in a process that may
die (``avatar.prepare``).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

FPS: Final = 25
"""Pictures a second of every avatar."""
FORMATS: Final = "asf,avi,flv,gif,matroska,mov,mpeg,mpegts,ogg"  # names of demuxers
MAX_CORRUPT_PACKETS: Final = 100

av.logging.set_level(None)  # as in avatar.decode


class NotFootage(Exception):
    """No avatar can be made of this video: why, in words for whom sent it."""


@dataclass(frozen=True, slots=True)
class FootageLimits:
    """Bounds of one video."""

    max_s: float = 10.0
    """What comes later is not looked at. 10 s at 1280x720 are 350 MB in memory while the avatar is on air."""
    max_pixels: int = 4096 * 2304
    """Of one picture, as it is encoded."""
    max_side: int = 1920
    """Pictures with a longer side are reduced to it."""
    max_pictures: int = 5000
    """Decoded to fill that time: cameras make up to 240 a second, and a hostile file has any number of one moment."""
    stall_s: float = 30.0
    """Longest time decoding may go without a picture."""


def pictures_of(path: Path, limits: FootageLimits) -> Iterator[NDArray[np.uint8]]:
    """The video's pictures, upright, one for each 25th of a second. Shapes: each (H, W, 3), BGR, all of one size.

    Errors: NotFootage, also after pictures were given.
    """
    with path.open("rb") as file, _opened(file, limits) as container:
        yield from _at_rate(_frames(container, limits), limits)


def _opened(file: BinaryIO, limits: FootageLimits) -> InputContainer:
    try:
        return av.open(
            file,
            mode="r",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
            timeout=(limits.stall_s, limits.stall_s),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise NotFootage("this is not a video in a format that is known here") from error


def _frames(container: InputContainer, limits: FootageLimits) -> Iterator[av.VideoFrame]:
    """The first picture track's frames, skipping over what is damaged."""
    track = _track(container, limits)
    corrupt = seen = 0
    last_frame_s = time.monotonic()
    packets = container.demux(track)
    while True:
        if time.monotonic() - last_frame_s > limits.stall_s:
            raise NotFootage(f"decoding yielded no picture for {limits.stall_s:.0f} s")
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except (av.error.FFmpegError, ValueError) as error:
            corrupt += 1
            if isinstance(error, av.error.EOFError) or corrupt > MAX_CORRUPT_PACKETS:
                break
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame) and not frame.is_corrupt:
                _check_size(frame.width, frame.height, limits)  # a stream may change it on its way
                seen += 1
                if seen > limits.max_pictures:
                    raise NotFootage(f"more than {limits.max_pictures} pictures stand for {limits.max_s:.0f} s")
                yield frame
                last_frame_s = time.monotonic()
    if not seen:
        raise NotFootage("no picture of this video can be decoded" if corrupt else "there is no picture in this video")


def _track(container: InputContainer, limits: FootageLimits) -> VideoStream:
    if not container.streams.video:
        raise NotFootage(f"this {container.format.name} file has no pictures")
    track = container.streams.video[0]
    if track.codec_context is None:
        raise NotFootage(f"the pictures of this {container.format.name} file are in an unknown codec")
    _check_size(track.codec_context.width, track.codec_context.height, limits)
    track.codec_context.options = {"max_pixels": str(limits.max_pixels)}  # of a size that is said only later, too
    track.thread_type = "SLICE"  # frame threads hold several pictures each
    return track


def _check_size(width: int, height: int, limits: FootageLimits) -> None:
    if width * height > limits.max_pixels:
        raise NotFootage(f"pictures of {width}x{height} are too large; {limits.max_pixels} pixels are the most")


def _at_rate(frames: Iterator[av.VideoFrame], limits: FootageLimits) -> Iterator[NDArray[np.uint8]]:
    """At each 25th of a second, the newest frame: a slow film's are repeated, a fast one's left out."""
    most = round(limits.max_s * FPS)
    given = 0
    first_s: float | None = None
    held: av.VideoFrame | None = None
    size: tuple[int, int] | None = None
    for frame in frames:
        time_s = frame.time if frame.time is not None else given / FPS  # raw streams have no clock
        first_s = time_s if first_s is None else first_s
        due = min(most, round((time_s - first_s) * FPS))
        if held is not None and given < due:
            picture = _upright(held, limits)
            size = size or picture.shape[:2]
            if picture.shape[:2] != size:
                raise NotFootage("the size of the pictures changes in the middle")
            for _ in range(due - given):
                yield picture
            given = due
        if given >= most:
            return
        held = frame
    if held is not None:
        yield _upright(held, limits)


def _upright(frame: av.VideoFrame, limits: FootageLimits) -> NDArray[np.uint8]:
    """As it is to be seen, reduced where it is large. Telephones store pictures lying, with a note how to turn them."""
    reduce = min(1.0, limits.max_side / max(frame.width, frame.height))
    width, height = (max(2, round(side * reduce) & ~1) for side in (frame.width, frame.height))
    picture = frame.reformat(
        width, height, format="bgr24", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
    ).to_ndarray()
    turns = round(frame.rotation / 90) % 4
    upright = cv2.rotate(picture, (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)[turns - 1])
    return np.asarray(upright if turns else picture, np.uint8)
