"""A WHIP publisher on FFmpeg's own WHIP muxer, the one inside PyAV (FFmpeg 8). Prints one JSON object.

    python -m tests.clients.pyav_publisher WHIP_URL WAV_FILE

Publishes the file's sound once, in real time, with a moving picture beside it.
"""

import datetime
import json
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients.publishable import FPS, OPUS_HZ, PICTURE, moving_bar


def write_certificate(folder: Path) -> dict[str, str]:
    """A certificate on P-256, as the muxer's options. The one it makes itself is on a curve that OpenSSL refuses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=9)
    )
    encoding = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(encoding))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def sounds(wav: str) -> list[av.AudioFrame]:
    """The file in frames of 20 ms."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=OPUS_HZ, frame_size=OPUS_HZ // 50)
    with av.open(wav) as source:
        frames = [each for frame in [*source.decode(audio=0), None] for each in resampler.resample(frame)]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number * OPUS_HZ // 50, Fraction(1, OPUS_HZ)
    return frames


def publish(url: str, wav: str, certificate: dict[str, str]) -> dict[str, object]:
    """Publish the file once; the muxer connects when its header is written, and time counts from then."""
    with av.open(url, "w", format="whip", options=certificate) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "50", "bf": "0"}
        video = container.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = *PICTURE, "yuv420p"
        audio = container.add_stream("libopus", rate=OPUS_HZ, layout="stereo")
        frames = sounds(wav)
        container.start_encoding()
        start, pictures = time.monotonic(), 0
        for number, frame in enumerate(frames):
            time.sleep(max(0.0, start + number / 50 - time.monotonic()))
            container.mux(audio.encode(frame))
            while pictures / FPS <= number / 50:
                container.mux(video.encode(moving_bar(pictures)))
                pictures += 1
    return {
        "client": f"PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})",
        "audio": len(frames),
        "video": pictures,
    }


def main(url: str, wav: str) -> None:
    with tempfile.TemporaryDirectory(prefix="pyav-publisher-") as folder:
        print(json.dumps(publish(url, wav, write_certificate(Path(folder)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
