"""Admission and what it goes by: a number that was measured, for whom it holds, and when to come back."""

from dataclasses import dataclass

import pytest

from bench.speaking_capacity import guess, most_that, safe
from whep_server import __version__
from whep_server.errors import TooManySpeak
from whep_server.live.admission import UNKNOWN_S, Admission
from whep_server.live.capacity import FILE, Capacity, most_speaking, read_capacity, save_capacity, usable_cores
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

MEASURED = Capacity(9, 10, 1280, 720, 25, usable_cores(), __version__, "this machine")


@dataclass
class Speaks:
    """A stream that speaks for so long."""

    left_s: float | None
    talks: bool = True

    def remaining_s(self) -> float | None:
        return self.left_s


@pytest.mark.parametrize(
    ("left_s", "retry_after"),
    [((8.2, 3.1), 4), ((None, 12.0), 12), ((0.0, 70.0), 1), ((None, None), UNKNOWN_S)],
)
def test_who_is_refused_learns_when_the_first_will_end(left_s, retry_after):
    ledger, streams = Ledger(), [Speaks(0.5, talks=False), *map(Speaks, left_s)]
    admission = Admission(2, lambda: streams, ledger)
    with pytest.raises(TooManySpeak, match="no more than 2") as refusal:
        admission.check()
    assert refusal.value.headers == {"Retry-After": str(retry_after)} and ledger.speech_refused == 1
    streams.pop()
    admission.check()
    Admission(0, lambda: streams * 100, ledger).check()
    assert ledger.speech_refused == 1


async def test_what_was_measured_is_read_unless_another_number_is_set(tmp_path):
    settings = Settings(cache=tmp_path / "new")
    assert await most_speaking(settings) == 0
    save_capacity(settings.cache, MEASURED)
    assert await most_speaking(settings) == 9
    assert await most_speaking(settings.model_copy(update={"max_speaking": 3})) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0.0.1"}, "version 0.0.1"),
        ({"height": 512}, "1280x512"),
        ({"fps": 10}, "at 10 frames"),
        ({"cores": usable_cores() + 1}, "cores"),
        ({"max_speaking": 0}, "without"),
        ("{", "cannot be read"),
        ("[9]", "cannot be read"),
    ],
)
def test_what_does_not_hold_here_limits_nothing_and_is_told_once(tmp_path, caplog, change, said):
    settings = Settings(cache=tmp_path)
    if isinstance(change, str):
        (tmp_path / FILE).write_text(change)
    else:
        values = {name: getattr(MEASURED, name) for name in MEASURED.__struct_fields__}
        save_capacity(tmp_path, Capacity(**values | change))
    assert read_capacity(settings) == 0
    assert len(caplog.records) == 1 and said in caplog.text


@pytest.mark.parametrize("start", [1, 6, 7, 100])
@pytest.mark.parametrize("carried", [0, 1, 6, 7, 11, 40])
def test_the_search_finds_what_is_carried_in_few_steps(start, carried):
    tried: list[int] = []

    def whole(count: int) -> bool:
        tried.append(count)
        return count <= carried

    found = most_that(whole, start, 100)
    assert carried - carried // 20 <= found <= carried
    assert len(tried) == len(set(tried)) <= 14 and all(1 <= count <= 100 for count in tried)
    assert most_that(lambda count: count <= carried, start, 4) == min(carried, 4)


def test_a_tenth_is_left_and_smaller_pictures_begin_with_more_streams():
    assert [safe(found) for found in (1, 2, 10, 11, 40)] == [1, 1, 9, 9, 36]
    assert guess(2, (1280, 720), 25) == 6 and guess(2, (640, 360), 25) == 24 and guess(1, (1920, 1080), 30) == 1
