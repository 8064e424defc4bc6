"""Admission and what it goes by: a number that was measured, for whom it holds, and when to come back."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace as changed

from bench.speaking_capacity import guess, most_that, safe
from whep_server import __version__
from whep_server.errors import TooManySpeak
from whep_server.live.admission import UNKNOWN_S, Admission
from whep_server.live.capacity import (
    Capacity,
    file_of,
    most_speaking,
    read_capacity,
    save_capacity,
    setup_of,
    usable_cores,
)
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

MEASURED = Capacity(9, 10, 1280, 720, 25, usable_cores(), __version__, "this machine")


@dataclass
class Speaks:
    """A stream that speaks for so long."""

    left_s: float | None
    talks: bool = True
    engine: str = "viseme"

    def remaining_s(self) -> float | None:
        return self.left_s


@pytest.mark.parametrize(
    ("left_s", "retry_after"),
    [((8.2, 3.1), 4), ((None, 12.0), 12), ((0.0, 70.0), 1), ((None, None), UNKNOWN_S)],
)
def test_who_is_refused_learns_when_the_first_will_end(left_s, retry_after):
    ledger, streams = Ledger(), [Speaks(0.5, talks=False), *map(Speaks, left_s)]
    admission = Admission({"viseme": 2}, lambda: streams, ledger)
    with pytest.raises(TooManySpeak, match="no more than 2") as refusal:
        admission.check("viseme")
    assert refusal.value.headers == {"Retry-After": str(retry_after)} and ledger.speech_refused == 1
    streams.pop()
    admission.check("viseme")
    Admission({"viseme": 0}, lambda: streams * 100, ledger).check("viseme")
    assert ledger.speech_refused == 1


@pytest.mark.parametrize(("drawn", "filmed"), [(0, 3), (0, 4), (9, 0), (10, 0), (5, 1), (5, 2), (8, 0), (7, 0), (7, 1)])
def test_each_takes_its_part_of_the_machine_and_no_more_is_given_away_than_there_is(drawn, filmed):
    """Ten of the drawn ones fill it, or four of the filmed ones; a filmed one takes the room of two and a half."""
    limits = {"viseme": 10, "musetalk": 4}
    streams = [Speaks(1.0)] * drawn + [Speaks(1.0, engine="musetalk")] * filmed
    admission = Admission(limits, lambda: streams, Ledger())
    for engine, limit in limits.items():
        full = drawn * 4 + filmed * 10 + (40 // limit) > 40
        if full:
            with pytest.raises(TooManySpeak, match=f"no more than {limit} can") as refusal:
                admission.check(engine)
            assert ("beside" in refusal.value.detail) == bool(drawn if engine == "musetalk" else filmed)
        else:
            admission.check(engine)


def test_where_nothing_was_measured_an_engine_s_own_speed_decides_and_it_is_said_once(caplog):
    streams = [Speaks(1.0, engine="musetalk")] * 2
    admission = Admission({"viseme": 0, "musetalk": 0}, lambda: streams, Ledger())
    admission.check("musetalk")
    admission.estimate({"musetalk": 101.0}, 25)
    admission.estimate({"musetalk": 101.0}, 25)
    assert admission.limits == {"viseme": 0, "musetalk": 3}
    assert len(caplog.records) == 1 and "bench capacity --avatar NAME" in caplog.text
    admission.check("musetalk")
    admission.estimate({"musetalk": 0.3}, 25)
    with pytest.raises(TooManySpeak, match="no more than 1"):
        admission.check("musetalk")
    admission.check("viseme")
    measured = Admission({"musetalk": 4}, lambda: streams, Ledger())
    measured.estimate({"musetalk": 900.0}, 25)
    assert measured.limits == {"musetalk": 4}


def test_a_number_that_is_set_holds_for_engines_that_nobody_measures():
    streams = [Speaks(1.0, engine="another"), Speaks(1.0)]
    admission = Admission({"viseme": 2, "musetalk": 2}, lambda: streams, Ledger(), otherwise=2)
    admission.estimate({"another": 900.0}, 25)
    for engine in ("another", "viseme"):
        with pytest.raises(TooManySpeak, match="no more than 2"):
            admission.check(engine)
    streams.pop()
    admission.check("another")


async def test_what_was_measured_is_read_unless_another_number_is_set(tmp_path):
    settings = Settings(cache=tmp_path / "new")
    assert await most_speaking(settings) == {"viseme": 0, "musetalk": 0}
    save_capacity(settings.cache, MEASURED)
    assert await most_speaking(settings) == {"viseme": 9, "musetalk": 0}
    filmed = changed(MEASURED, max_speaking=2, engine="musetalk", setup=setup_of(settings, "musetalk"))
    save_capacity(settings.cache, filmed)
    assert await most_speaking(settings) == {"viseme": 9, "musetalk": 2}
    other = settings.model_copy(update={"musetalk_speedup": "graphs"})
    assert await most_speaking(other) == {"viseme": 9, "musetalk": 0}
    assert await most_speaking(settings.model_copy(update={"max_speaking": 3})) == {"viseme": 3, "musetalk": 3}


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
        file_of(tmp_path, "viseme").write_text(change)
    else:
        save_capacity(tmp_path, changed(MEASURED, **change))
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
