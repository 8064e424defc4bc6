"""The benchmarks' arguments."""

import pytest
import typer
from typer.testing import CliRunner

from bench.arguments import check_rate, parse_counts, parse_size
from bench.commands import app


def test_sizes_are_read():
    assert parse_size("512x512") == (512, 512)


@pytest.mark.parametrize("size", ["", "1280", "1280x", "x720", "1280X720", "1x1", "12800x72000", "1280x720 "])
def test_what_is_no_size_is_refused(size: str):
    with pytest.raises(typer.BadParameter):
        parse_size(size)


def test_viewers_are_counted_upwards():
    assert parse_counts("25,1,10,1") == [1, 10, 25]


@pytest.mark.parametrize("viewers", ["", "0", "1,", ",1", "-1", "1;2", "10000"])
def test_what_is_no_number_of_viewers_is_refused(viewers: str):
    with pytest.raises(typer.BadParameter):
        parse_counts(viewers)


def test_only_rates_of_streams_are_taken():
    assert check_rate(25) == 25
    with pytest.raises(typer.BadParameter):
        check_rate(24)


def test_each_benchmark_is_listed():
    listed = CliRunner().invoke(app, ["--help"]).output
    assert "stages" in listed
    assert "idle" in listed


@pytest.mark.parametrize("name", ["stages", "idle"])
@pytest.mark.parametrize("size", ["big", "300x200"])
def test_a_size_that_cannot_be_measured_ends_with_a_reason(name: str, size: str):
    result = CliRunner().invoke(app, [name, "--size", size])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
