"""Meetecho's simple-whip-client as a WHIP publisher, in a folder with a newer Debian (tests/peers/forky.sh)."""

import os
from pathlib import Path

import numpy as np

from tests.clients.peers import need
from tests.clients.speech_files import sentence, wav_file

FORKY = os.environ.get("FORKY")
"""The folder, if there is one."""
LEAD_S = 3.0
"""Silence before the sentence: the client plays its file from the start, connected or not."""
TAIL_S = 2.0
AUDIO = (
    "filesrc location={file} ! wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! "
    "identity sync=true ! opusenc ! rtpopuspay pt=100 ! application/x-rtp,media=audio,encoding-name=OPUS,payload=100"
)


def write_speech(folder: str, longest_s: float) -> Path:
    """The sentence after some silence, as a file in the folder; its path as the client sees it."""
    spoken = sentence(longest_s=longest_s)
    silence = np.zeros(int(LEAD_S * spoken.rate_hz), "<i2")
    samples = np.concatenate([silence, (spoken.samples * 32767).astype("<i2")])
    (Path(folder) / "tmp" / "speech.wav").write_bytes(wav_file(samples.tobytes(), spoken.rate_hz))
    return Path("/tmp/speech.wav")


def meetecho_publish(folder: str, url: str, spoken_s: float) -> list[str]:
    """The command that publishes the beginning of the sentence; interrupted, the client sends DELETE."""
    audio = AUDIO.format(file=write_speech(folder, spoken_s))
    limit = str(int(LEAD_S + spoken_s + TAIL_S))
    client = ["chroot", folder, "whip-client", "-u", url, "-t", "token", "-A", audio]
    return [need("timeout"), "--preserve-status", "-s", "INT", limit, *client]
