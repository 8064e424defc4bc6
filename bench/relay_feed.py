"""The one encoder in front of a relay: a clip as RTP to two UDP ports of this machine, in real time.

    python -m bench.relay_feed FOLDER VIDEO_PORT AUDIO_PORT --size 1280 720 --fps 25

The encoders are those of our worker, so that relays send what our server sends. A keyframe comes every second: relays
ask nobody for one when a viewer joins.
"""

import argparse
import random
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from avatar.encode import OpusEncoder, PictureEncoder
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ, Codec, VideoFormat
from bench.clip import open_clip
from whep_server.live.packetize import packetize

VIDEO_TYPE: Final = 96
AUDIO_TYPE: Final = 111
HOST: Final = "127.0.0.1"


@dataclass(slots=True)
class RtpFlow:
    """One stream of RTP to a port (RFC 3550 section 5.1)."""

    port: int
    payload_type: int
    sequence: int = field(default_factory=lambda: random.getrandbits(15))
    ssrc: int = field(default_factory=lambda: random.getrandbits(32))

    def send(self, out: socket.socket, payloads: tuple[bytes, ...], rtp_time: int) -> None:
        """Send one picture or packet of sound; the last payload has the marker."""
        for index, payload in enumerate(payloads):
            last = index == len(payloads) - 1 and self.payload_type == VIDEO_TYPE
            kind = self.payload_type | (0x80 if last else 0)
            header = struct.pack("!BBHII", 0x80, kind, self.sequence & 0xFFFF, rtp_time & 0xFFFFFFFF, self.ssrc)
            out.sendto(header + payload, (HOST, self.port))
            self.sequence += 1


def feed(folder: Path, ports: tuple[int, int], shape: VideoFormat) -> None:
    """Send the clip until the process ends."""
    clip = open_clip(folder, (shape.width, shape.height))
    pictures, opus = PictureEncoder(Codec.H264, shape), OpusEncoder()
    video, audio = RtpFlow(ports[0], VIDEO_TYPE), RtpFlow(ports[1], AUDIO_TYPE)
    began_s = time.monotonic()
    frame = packet = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while True:
            frame_s, packet_s = frame / shape.fps, packet * OPUS_SAMPLES / AUDIO_HZ
            time.sleep(max(0.0, began_s + min(frame_s, packet_s) - time.monotonic()))
            if packet_s <= frame_s:
                audio.send(out, (opus.encode(clip.sound[packet % len(clip.sound)]),), packet * OPUS_SAMPLES)
                packet += 1
            else:
                shown = clip.pictures[frame % len(clip.pictures)]
                unit = pictures.encode(shown, frame, keyframe=frame % shape.fps == 0)
                video.send(out, packetize(Codec.H264, unit.data), frame * VIDEO_HZ // shape.fps)
                frame += 1


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("ports", type=int, nargs=2)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720))
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--bitrate", type=int, default=1_500_000)
    arguments = parser.parse_args()
    video_port, audio_port = arguments.ports
    width, height = arguments.size
    shape = VideoFormat(width, height, arguments.fps, arguments.bitrate)
    feed(arguments.folder, (video_port, audio_port), shape)


if __name__ == "__main__":
    start()
