import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.decode import DecodeLimits, NotSpeech, decode
from avatar.messages import SpeechRefusal
from tests.audio_files import audio_file, loudest_hz, tone, wav

LIMITS = DecodeLimits(max_s=20.0, stall_s=10.0)


class Collected:
    def __init__(self) -> None:
        self.seconds: float | None = -1.0
        self.play_parts: list[NDArray[np.int16]] = []
        self.analyse_parts: list[NDArray[np.float32]] = []

    def known(self, seconds: float | None) -> None:
        self.seconds = seconds

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        self.play_parts.append(play)
        self.analyse_parts.append(analyse)

    @property
    def play(self) -> NDArray[np.int16]:
        return np.concatenate([np.zeros(0, np.int16), *self.play_parts])

    @property
    def analyse(self) -> NDArray[np.float32]:
        return np.concatenate([np.zeros(0, np.float32), *self.analyse_parts])


def decoded(data: bytes, limits: DecodeLimits = LIMITS) -> Collected:
    sink = Collected()
    decode(io.BytesIO(data), limits, sink)
    return sink


def refusal(data: bytes, limits: DecodeLimits = LIMITS) -> SpeechRefusal:
    with pytest.raises(NotSpeech) as caught:
        decoded(data, limits)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout", "slack"),
    [
        ("wav", "pcm_s16le", 8_000, "mono", 0),
        ("wav", "pcm_u8", 11_025, "mono", 1),
        ("wav", "pcm_f32le", 96_000, "stereo", 0),
        ("wav", "pcm_s16le", 48_000, "5.1", 0),
        ("wav", "pcm_mulaw", 8_000, "mono", 0),
        ("mp3", "libmp3lame", 44_100, "stereo", 0),
        ("ogg", "libopus", 48_000, "mono", 0),
        ("webm", "libopus", 48_000, "stereo", 0),
        ("ipod", "aac", 44_100, "mono", 2300),  # whole frames of 1024: nothing in the file says where speech ends
        ("mp4", "ac3", 48_000, "5.1", 1600),
        ("adts", "aac", 22_050, "mono", 7000),
        ("flac", "flac", 44_100, "stereo", 0),
        ("mpegts", "aac", 44_100, "mono", 3500),
        ("aiff", "pcm_s16be", 16_000, "mono", 0),
    ],
)
def test_every_common_container_is_heard(container: str, codec: str, rate: int, layout: str, slack: int):
    heard = decoded(audio_file(tone(1.0, 440.0, rate), container, codec, rate, layout))
    assert 48_000 <= len(heard.play) <= 48_000 + slack
    assert loudest_hz(heard.play[4800:43_200], 48_000) == pytest.approx(440, abs=2)
    assert heard.seconds is None or heard.seconds == pytest.approx(1.0, abs=0.1)


def test_ogg_vorbis_is_heard(tmp_path: Path):
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as output:
        stream = output.add_stream("vorbis", rate=44_100, options={"strict": "-2"})
        stream.layout = "stereo"  # type: ignore[attr-defined]
        frame = av.AudioFrame.from_ndarray(np.tile(tone(1.0, 440.0, 44_100), (2, 1)), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 44_100, 0
        for part in (frame, None):
            output.mux(stream.encode(part))
    assert loudest_hz(decoded(file.getvalue()).play[4800:40_000], 48_000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_what_is_analysed_is_what_is_played_sample_by_sample(rate: int):
    heard = decoded(wav(tone(1.0, 300.0, rate), rate))
    assert len(heard.analyse) == -(-len(heard.play) // 3)
    played = heard.play[::3] / 32768
    inside = slice(200, -200)  # filters ring at a file's cut ends
    assert np.abs(heard.analyse[inside] - played[inside]).max() < 0.002


def test_surround_sound_keeps_its_centre_and_does_not_clip():
    speech = tone(1.0, 440.0, level=0.9)
    channels = np.zeros((6, len(speech)), np.float32)
    channels[2] = speech  # front centre, where films have the voice
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=48_000)
        stream.layout = "5.1"  # type: ignore[attr-defined]
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="5.1")
        frame.sample_rate, frame.pts = 48_000, 0
        for part in (frame, None):
            output.mux(stream.encode(part))
    heard = decoded(file.getvalue()).play
    assert 3000 < np.abs(heard).max() < 32_767
    assert loudest_hz(heard, 48_000) == pytest.approx(440, abs=2)


def test_a_films_sound_is_heard():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        film = output.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"  # type: ignore[attr-defined]
        sound = output.add_stream("aac", rate=48_000)
        sound.layout = "mono"  # type: ignore[attr-defined]
        for _ in range(25):
            output.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        output.mux(sound.encode(frame))
        for stream in (film, sound):
            output.mux(stream.encode(None))
    assert loudest_hz(decoded(file.getvalue()).play[4800:43_200], 48_000) == pytest.approx(440, abs=2)


def test_a_film_without_sound_is_refused():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        film = output.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"  # type: ignore[attr-defined]
        output.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        output.mux(film.encode(None))
    assert refusal(file.getvalue()) is SpeechRefusal.NOT_AUDIO


def test_silence_is_speech():
    heard = decoded(wav(np.zeros(48_000, np.float32)))
    assert len(heard.play) == 48_000 and not heard.play.any()


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is a text file\n" * 200,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"%PDF-1.7\n" + bytes(500),
        b"PK\x03\x04" + bytes(500),
        b'{"text": "speak this"}',
        b"RIFF",
        # formats of FFmpeg's that name other files or open sockets
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/hostname'\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
        b"[playlist]\nFile1=http://127.0.0.1/x.mp3\n",
        b"[Playlist]\nhttp://127.0.0.1/\n",
    ],
    ids=["text", "png", "pdf", "zip", "json", "riff", "hls", "concat", "sdp", "dash", "pls", "asx"],
)
def test_what_is_not_audio_is_refused(data: bytes):
    assert refusal(data) is SpeechRefusal.NOT_AUDIO


def test_a_file_without_samples_is_empty():
    with io.BytesIO() as file:
        with wave.open(file, "wb") as header_only:
            header_only.setparams((1, 2, 16_000, 0, "NONE", ""))
        assert refusal(file.getvalue()) is SpeechRefusal.EMPTY


def test_a_length_that_is_known_is_refused_before_decoding():
    sink = Collected()
    with pytest.raises(NotSpeech) as caught:
        decode(io.BytesIO(wav(tone(2.0, rate=8_000), 8_000)), DecodeLimits(1.9, 10.0), sink)
    assert caught.value.reason is SpeechRefusal.TOO_LONG
    assert not sink.play_parts


def test_the_longest_length_is_allowed():
    assert len(decoded(wav(tone(2.0, rate=8_000), 8_000), DecodeLimits(2.0, 10.0)).play) == 96_000


def test_a_length_that_is_not_known_ends_at_the_limit():
    stream = audio_file(tone(3.0, rate=16_000), "adts", "aac", 16_000)
    sink = Collected()
    with pytest.raises(NotSpeech) as caught:
        decode(io.BytesIO(stream), DecodeLimits(1.0, 10.0), sink)
    assert caught.value.reason is SpeechRefusal.TOO_LONG
    assert len(sink.play) <= 48_000


def test_a_wav_whose_length_was_never_filled_in_is_heard():
    data = bytearray(wav(tone(1.0)))
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    data[4:8] = b"\xff\xff\xff\xff"
    assert len(decoded(bytes(data)).play) == 48_000


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("flac", "flac")]
)
def test_a_truncated_file_is_heard_as_far_as_it_goes(container: str, codec: str):
    whole = audio_file(tone(2.0), container, codec, 48_000)
    heard = decoded(whole[: len(whole) // 2])
    assert 24_000 < len(heard.play) < 80_000


def test_damaged_packets_are_skipped():
    whole = bytearray(audio_file(tone(2.0), "mp3", "libmp3lame", 44_100))
    whole[8000:9000] = bytes(1000)
    assert len(decoded(bytes(whole)).play) > 72_000


def test_decoding_that_yields_nothing_is_given_up():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        film = output.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"  # type: ignore[attr-defined]
        output.add_stream("libopus", rate=48_000)
        for _ in range(25):
            output.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        output.mux(film.encode(None))
    assert refusal(file.getvalue(), DecodeLimits(20.0, 1e-9)) in (SpeechRefusal.TOO_SLOW, SpeechRefusal.NOT_AUDIO)
    assert refusal(file.getvalue()) is SpeechRefusal.EMPTY


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=400), st.sampled_from(["mp3", "wav", "ogg", "flac"]))
def test_whatever_is_done_to_a_file_it_is_heard_or_refused(at: int, damage: bytes, container: str):
    codec = {"mp3": "libmp3lame", "wav": "pcm_s16le", "ogg": "libopus", "flac": "flac"}[container]
    whole = bytearray(_HALF_SECOND.setdefault(container, audio_file(tone(0.5), container, codec, 48_000)))
    at %= len(whole)
    whole[at : at + len(damage)] = damage
    try:
        decoded(bytes(whole))
    except NotSpeech:
        return


_HALF_SECOND: dict[str, bytes] = {}
