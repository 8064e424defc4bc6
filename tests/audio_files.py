"""Audio files made on the spot: tones in any container."""

import io

import av
import numpy as np
from numpy.typing import NDArray


def tone(seconds: float, hz: float = 440.0, rate: int = 48_000, level: float = 0.3) -> NDArray[np.float32]:
    """A sine. Shapes: (n,)."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def audio_file(samples: NDArray[np.float32], container: str, codec: str, rate: int, layout: str = "mono") -> bytes:
    """``samples`` at ``rate`` in all channels of a file. Shapes: samples (n,)."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout = layout  # type: ignore[attr-defined]  # PyAV's stream types are one union
        channels = stream.codec_context.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(np.tile(samples, (channels, 1)), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for part in (frame, None):
            output.mux(stream.encode(part))
    return file.getvalue()


def wav(samples: NDArray[np.float32], rate: int = 48_000, layout: str = "mono") -> bytes:
    """A WAV file of 16 bits."""
    return audio_file(samples, "wav", "pcm_s16le", rate, layout)


def loudest_hz(samples: NDArray[np.generic], rate: int) -> float:
    """The frequency that there is most of."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))
