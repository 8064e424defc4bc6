"""FFmpeg 9 as a WHIP publisher: the program inside the PyPI package imageio-ffmpeg. It prints no report."""

import subprocess
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from tests.clients.peers import need


@cache
def program() -> str:
    """The program's path; it has the WHIP muxer.

    Errors: AssertionError where it has not.
    """
    path = need(imageio_ffmpeg.get_ffmpeg_exe())
    listed = subprocess.run([path, "-hide_banner", "-muxers"], capture_output=True, text=True, check=True, timeout=30)
    assert " whip " in listed.stdout, f"{path} has no WHIP muxer: install imageio-ffmpeg 0.8.1 or newer"
    return path


def ffmpeg_publish(url: str, wav: Path, *, dtls_active: bool = False, lead_s: float = 0.0) -> list[str]:
    """The command that publishes a sound file once, in real time, with a test picture beside it.

    ``dtls_active`` has FFmpeg begin the DTLS handshake; by default it waits for the server's. ``lead_s`` is silence
    before the sound: FFmpeg reads its input from the moment it starts, and sends in one burst what was due until
    it was connected.
    """
    sound = f"adelay=delays={int(lead_s * 1000)}:all=1," if lead_s else ""
    # at its own pace from the first sample on: by default FFmpeg hurries after what it missed while it connected
    pace = ["-readrate", "1", "-readrate_catchup", "1"]
    picture = [*pace, "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"]
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"]
    opus = ["-c:a", "libopus", "-af", f"{sound}aresample=48000", "-ac", "2", "-b:a", "96k"]
    role = ["-whip_flags", "dtls_active"] if dtls_active else []
    return [
        *(program(), "-hide_banner", "-loglevel", "warning", "-nostdin", *pace, "-i", str(wav), *picture),
        *("-map", "0:a", "-map", "1:v", "-shortest", *h264, "-pix_fmt", "yuv420p", "-bf", "0", "-g", "50", *opus),
        *("-f", "whip", *role, url),
    ]
