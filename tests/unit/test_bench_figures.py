"""Statistics and tables of the benchmarks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Spread, quantile, ratio, slope, spread, table
from bench.machine import _cpu_model, one_core, this_machine


def test_a_quantile_lies_between_its_neighbours():
    assert quantile([4, 1, 3, 2], 0) == 1
    assert quantile([4, 1, 3, 2], 0.5) == 2.5
    assert quantile([4, 1, 3, 2], 1) == 4
    assert quantile([7], 0.95) == 7


def test_no_values_have_no_quantile():
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_is_never_outside_the_values(values: list[float], share: float):
    assert min(values) - 1e-6 <= quantile(values, share) <= max(values) + 1e-6


def test_spread_is_not_moved_by_one_bad_value():
    assert spread([1.0] * 99 + [1000.0]) == Spread(1.0, 1.0)


def test_a_slope_is_what_one_more_costs():
    assert slope([(1, 12), (10, 30), (25, 60)]) == pytest.approx(2)
    assert slope([(1, 12)]) is None
    assert slope([(1, 12), (1, 14)]) is None


def test_a_ratio_says_theirs_where_ours_is_one():
    assert ratio(2.0, 12.2) == "1 : 6.1"
    assert ratio(0.0, 3.0) == "-"


def test_a_table_is_aligned_markdown():
    assert table(["step", "ms"], [("draw", "1.5"), ("encode", "12.25")]) == "\n".join(
        [
            "| step   |    ms |",
            "| ------ | ----: |",
            "| draw   |   1.5 |",
            "| encode | 12.25 |",
        ]
    )


def test_the_processor_is_named_where_the_kernel_names_it():
    assert _cpu_model("processor\t: 0\nmodel name\t: Some CPU: fast\n") == "Some CPU: fast"
    assert _cpu_model("processor\t: 0\n")


def test_one_core_is_given_back():
    cores = this_machine().cores
    with one_core():
        assert this_machine().cores == 1
    assert this_machine().cores == cores
