import threading

import numpy as np
import pytest

from avatar.speech_buffer import Abandoned, SpeechBuffer


def fill(buffer: SpeechBuffer, play: int, analyse: int) -> None:
    buffer.put(np.arange(play, dtype=np.int16), np.arange(analyse, dtype=np.float32))


def test_what_goes_in_comes_out_in_order_in_any_portions():
    buffer = SpeechBuffer()
    for start in (0, 500, 900):
        buffer.put(
            np.arange(start, start + 600, dtype=np.int16)[: 500 if start == 0 else 400],
            np.zeros(200, np.float32),
        )
    taken = [buffer.take(count).play for count in (3, 960, 300, 999)]
    assert list(np.concatenate(taken)) == list(range(1300))


def test_samples_count_only_with_those_to_analyse():
    buffer = SpeechBuffer()
    fill(buffer, 960, 300)
    assert buffer.available() == 900
    buffer.finish()
    assert buffer.available() == 960


def test_both_rates_are_taken_together():
    buffer = SpeechBuffer()
    fill(buffer, 2000, 667)
    taken = buffer.take(960)
    assert (len(taken.play), len(taken.analyse)) == (960, 320)
    rest = buffer.take(5000)
    assert (len(rest.play), len(rest.analyse)) == (1040, 347)


def test_the_end_and_its_reason_are_told():
    buffer = SpeechBuffer()
    assert not buffer.ended
    buffer.finish("it broke off")
    assert buffer.ended and buffer.error == "it broke off"


def test_a_full_buffer_holds_the_decoder_until_some_is_taken():
    buffer = SpeechBuffer(ahead_s=0.01)
    fill(buffer, 480, 160)
    done = threading.Event()

    def put_more() -> None:
        fill(buffer, 480, 160)
        done.set()

    threading.Thread(target=put_more, daemon=True).start()
    assert not done.wait(0.05)
    buffer.take(240)
    assert done.wait(10)
    assert buffer.available() == 720


def test_an_abandoned_buffer_lets_the_decoder_go():
    buffer = SpeechBuffer(ahead_s=0.01)
    fill(buffer, 480, 160)
    threading.Timer(0.02, buffer.abandon).start()
    with pytest.raises(Abandoned):
        fill(buffer, 480, 160)
