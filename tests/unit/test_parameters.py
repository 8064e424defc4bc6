"""The seven numbers of a mouth."""

import numpy as np

from avatar.engines.viseme.parameters import JAW, NEUTRAL, PARAMETERS, PRESS, SEAL, eased, gap


def mouth(**values: float) -> np.ndarray:
    made = np.zeros(len(PARAMETERS), np.float32)
    for name, value in values.items():
        made[PARAMETERS.index(name)] = value
    return made


def test_neutral_has_no_opening() -> None:
    assert gap(NEUTRAL) == 0
    assert NEUTRAL.shape == (len(PARAMETERS),)


def test_neutral_cannot_be_written_to() -> None:
    assert not NEUTRAL.flags.writeable


def test_gap_is_the_jaw_where_nothing_presses() -> None:
    assert gap(mouth(jaw=0.6)) == np.float32(0.6)


def test_lips_meet_a_little_before_full_press() -> None:
    assert gap(mouth(jaw=1, press=1 / SEAL)) < 1e-6
    assert gap(mouth(jaw=1, press=1)) == 0
    assert gap(mouth(jaw=1, press=0.5)) > 0.4


def test_gap_takes_any_leading_shape() -> None:
    mouths = np.zeros((3, 4, len(PARAMETERS)), np.float32)
    mouths[..., JAW] = 0.5
    mouths[1, :, PRESS] = 1
    assert gap(mouths).shape == (3, 4)
    assert gap(mouths)[1].max() == 0


def test_easing_runs_from_neutral_to_the_mouth() -> None:
    wide_open = mouth(jaw=1, wide=0.5)
    np.testing.assert_array_equal(eased(wide_open, 0), NEUTRAL)
    np.testing.assert_allclose(eased(wide_open, 1), wide_open, atol=1e-7)
    np.testing.assert_allclose(eased(wide_open, 0.5), (wide_open + NEUTRAL) / 2, atol=1e-7)
    assert eased(wide_open, 0.3).dtype == np.float32
