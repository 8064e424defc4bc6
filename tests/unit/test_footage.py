import subprocess
import wave

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from avatar.engines.viseme.film import write_film
from avatar.footage import FootageLimits, NotFootage, pictures_of
from tests.portraits import plain

LIMITS = FootageLimits()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return plain(tmp_path_factory.mktemp("footage") / "plain.mp4")


def remade(video, name, *options):
    out = video.with_name(name)
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *options, str(out)], check=True, timeout=60
    )
    return out


def test_every_picture_of_a_video_at_our_rate_is_there(video):
    pictures = list(pictures_of(video, LIMITS))
    assert len(pictures) == 30
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}
    assert np.abs(pictures[5].astype(int) - pictures[4]).mean() > 1


@pytest.mark.parametrize(("rate", "expected"), [(50, 15), (10, 74)])
def test_other_rates_keep_their_speed(tmp_path, rate, expected):
    """What lasts 0.6 s and 3 s has as many pictures; the last one of a film is shown once."""
    assert len(list(pictures_of(plain(tmp_path / "x.mkv", fps=rate), LIMITS))) == pytest.approx(expected, abs=1)


def test_what_is_too_long_is_cut(video):
    assert len(list(pictures_of(video, FootageLimits(max_s=0.4)))) == 10


def test_large_pictures_are_reduced(video):
    assert next(iter(pictures_of(video, FootageLimits(max_side=160)))).shape == (120, 160, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_telephone_s_video_is_upright(tmp_path, degrees):
    """One corner is bright; the display matrix says how the player is to turn the picture."""
    picture = np.full((96 * 3 // 2, 128), 128, np.uint8)
    picture[:96] = 40
    picture[:32, :32] = 220
    lying = tmp_path / "lying.mp4"
    write_film(lying, [picture] * 3, 25, "libx264", {})
    turned = remade(lying, "turned.mp4", "-display_rotation", str(degrees), "-i", str(lying), "-c", "copy")
    shown = cv2.imread(str(remade(lying, "shown.png", "-i", str(turned), "-frames:v", "1")))
    first = next(iter(pictures_of(turned, LIMITS)))
    assert first.shape == shown.shape
    assert np.abs(first.astype(int) - shown).mean() < 4, "as a player shows it"


def cut(video, share):
    damaged = video.with_name("cut.mp4")
    content = video.read_bytes()
    damaged.write_bytes(content[: int(len(content) * share)])
    return damaged


def silent_wav(path):
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(16_000))
    return path


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"#EXTM3U\n/etc/passwd\n", b"RIFF" + b"\xff" * 400])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(NotFootage, match="not a video"):
        list(pictures_of(path, LIMITS))


def test_sound_alone_is_refused(tmp_path):
    with pytest.raises(NotFootage):
        list(pictures_of(silent_wav(tmp_path / "x.wav"), LIMITS))


def test_a_truncated_file_gives_what_it_has_or_says_why_not(video):
    with pytest.raises(NotFootage):
        list(pictures_of(cut(video, 0.02), LIMITS))
    assert 0 < len(list(pictures_of(cut(video, 0.6), LIMITS))) <= 30  # the index stands in front


def test_too_large_pictures_are_refused_before_they_are_decoded(video):
    assert len(list(pictures_of(video, FootageLimits(max_pixels=320 * 240)))) == 30
    with pytest.raises(NotFootage, match="320x240"):
        list(pictures_of(video, FootageLimits(max_pixels=320 * 240 - 1)))


def test_a_video_with_any_number_of_pictures_of_one_moment_is_refused(video):
    assert len(list(pictures_of(video, FootageLimits(max_pictures=30)))) == 30
    with pytest.raises(NotFootage, match="more than 29"):
        list(pictures_of(video, FootageLimits(max_pictures=29)))


def test_a_size_that_changes_is_refused(tmp_path):
    one, two = plain(tmp_path / "a.ts", (320, 240)), plain(tmp_path / "b.ts", (160, 120))
    later = remade(two, "later.ts", "-i", str(two), "-c", "copy", "-output_ts_offset", "2")
    (tmp_path / "both.ts").write_bytes(one.read_bytes() + later.read_bytes())
    with pytest.raises(NotFootage, match="changes"):
        list(pictures_of(tmp_path / "both.ts", LIMITS))
