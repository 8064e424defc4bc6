import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.splice import CHANGE, FADE, FILL_FADE, HISTORY, RUN, Filler, crossfade, lengthen, shorten

LEVEL = 8000


def sine(hz: float, samples: int, start: int = 0) -> NDArray[np.int16]:
    return np.rint(LEVEL * np.sin(2 * np.pi * hz * np.arange(start, start + samples) / 48_000)).astype(np.int16)


def largest_step(*sounds: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(np.concatenate(sounds).astype(int))).max())


def natural_step(hz: float) -> float:
    return LEVEL * 2 * np.pi * hz / 48_000 + 2


@given(st.integers(1, 500), st.integers(0, 9))
def test_a_crossfade_begins_as_the_one_sound_and_ends_as_the_other(size: int, seed: int):
    noise = np.random.default_rng(seed).integers(-32_768, 32_768, (2, size)).astype(np.int16)
    faded = crossfade(noise[0], noise[1]).astype(int)
    assert faded[0] == noise[0, 0]
    assert abs(faded[-1] - noise[1, -1]) <= 65_536 / size + 1
    assert np.all(faded <= np.maximum(noise[0], noise[1])) and np.all(faded >= np.minimum(noise[0], noise[1]))


@pytest.mark.parametrize("change", [shorten, lengthen])
@pytest.mark.parametrize("hz", [70, 110, 220, 333.3, 1000])
def test_a_change_of_length_is_not_heard_in_a_tone(change, hz: float):
    changed = change(sine(hz, 2 * RUN))
    assert CHANGE // 2 <= abs(len(changed) - 2 * RUN) <= CHANGE
    assert largest_step(changed) <= natural_step(hz) * 1.1 + 4
    loudness = [np.sqrt(np.mean(np.square(changed[at : at + 700].astype(float)))) for at in range(0, 1400, 100)]
    assert min(loudness) > 0.85 * LEVEL / np.sqrt(2), "no dip"


@given(st.integers(RUN, 3 * RUN), st.integers(0, 9))
def test_whatever_the_sound_its_ends_stay_as_they_are(size: int, seed: int):
    sound = np.random.default_rng(seed).integers(-32_768, 32_768, size).astype(np.int16)
    shorter, longer = shorten(sound), lengthen(sound)
    assert shorter[0] == longer[0] == sound[0]
    assert np.array_equal(longer[-(size - FADE) :], sound[FADE:])
    assert np.array_equal(shorter[FADE:], sound[size - len(shorter) + FADE :])


def test_silence_is_changed_by_as_much_as_can_be():
    assert len(shorten(np.zeros(RUN, np.int16))) == RUN - CHANGE
    assert len(lengthen(np.zeros(RUN, np.int16))) == RUN + CHANGE


@pytest.mark.parametrize("hz", [70, 110, 220, 333.3, 1000])
@pytest.mark.parametrize("pieces", [1, 7, 480])
def test_what_is_missing_goes_on_as_it_was_and_fades(hz: float, pieces: int):
    filler, heard = Filler(), sine(hz, 4800)
    filler.heard(heard)
    made = np.concatenate([filler.make(size) for size in np.diff(np.linspace(0, 3840, pieces + 1).astype(int))])
    assert largest_step(heard, made) <= natural_step(hz) + 12
    loudness = np.abs(made.astype(float)).reshape(-1, 480).max(axis=1)
    assert loudness[0] > 0.7 * LEVEL and np.all(np.diff(loudness[:6]) < 0.05 * LEVEL)
    assert not made[FILL_FADE:].any()
    assert filler.active


def test_a_known_silence_follows_at_once_but_not_abruptly():
    filler, heard = Filler(), sine(220, 4800)
    filler.heard(heard)
    made = np.concatenate([filler.make(100, hush=True) for _ in range(6)])
    assert largest_step(heard, made) <= natural_step(220) + 2 * LEVEL / FADE
    assert not made[FADE:].any()


def test_a_silence_that_becomes_known_ends_what_is_made_up():
    filler = Filler()
    filler.heard(sine(220, 4800))
    made = np.concatenate([filler.make(480), filler.make(960, hush=True)])
    assert made[470:500].any() and not made[480 + FADE :].any()
    assert largest_step(made) <= natural_step(220) + 2 * LEVEL / FADE


def test_nothing_heard_is_nothing_made_up():
    assert not Filler().make(5000).any()


@given(st.integers(1, 2 * HISTORY), st.integers(0, 9))
def test_any_sound_is_gone_on_with_without_a_click(size: int, seed: int):
    """Noise has steps of any size in itself; the first one after it is to be like them, not a fall to nothing."""
    sound = np.random.default_rng(seed).integers(-9000, 9000, size).astype(np.int16)
    filler = Filler()
    filler.heard(sound)
    assert largest_step(sound[-1:], filler.make(FILL_FADE)) <= 18_000 + 18_000


def test_what_is_heard_again_ends_what_was_made_up():
    filler = Filler()
    filler.heard(sine(220, 960))
    filler.make(960)
    filler.heard(np.zeros(HISTORY, np.int16))
    assert not filler.active and not filler.make(960).any()


def test_what_was_made_up_is_joined_to_what_comes_after_it():
    filler = Filler()
    heard = filler.heard(sine(220, 4800))
    pieces = [heard]
    for at in range(0, 4800, 240):  # every other packet of 2.5 ms is lost
        pieces += [filler.make(120), filler.joined(sine(220, 120, 4920 + at))]
    assert largest_step(*pieces) <= natural_step(220) + 4 * LEVEL / FADE
    assert not filler.active


def test_a_jump_is_joined_as_well():
    filler = Filler()
    pieces = [filler.heard(sine(220, 4800)), filler.joined(sine(220, 4800, 4800 + 109))]
    assert np.array_equal(pieces[1][FADE:], sine(220, 4800, 4800 + 109)[FADE:])
    assert largest_step(*pieces) <= natural_step(220) + 2 * LEVEL / FADE
