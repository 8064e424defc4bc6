"""What is said over the WebSocket for streamed speech: parsed, in order, and not a byte of it lost."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.errors import AlreadySpeaking, NotOnAir, ServerError, TooMany
from whep_server.live import conversation
from whep_server.web.pcm_messages import (
    AHEAD_BYTES,
    AHEAD_ITEMS,
    MAX_HZ,
    MAX_MESSAGE_BYTES,
    MAX_START_MS,
    MIN_HZ,
    MIN_START_MS,
    PIECE_BYTES,
    TABLE,
    Append,
    BadMessage,
    Begin,
    Cancel,
    Commit,
    Gone,
    Intake,
    Interrupt,
    Mark,
    State,
    error_name,
    parse_message,
    step,
)
from whep_server.web.pcm_reader import PcmFormat

KINDS = (Begin, Append, Mark, Commit, Cancel, Interrupt)
EXAMPLES = (Begin(24_000), Append(b"\0\0"), Mark("m"), Commit(), Cancel(), Interrupt())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["begin", "append", "mark", "commit", "cancel", "interrupt", "end"]) | JSON,
        "sample_rate": st.sampled_from([0, 7999, 8000, 24_000, 96_000, 96_001, "x"]) | JSON,
        "channels": st.sampled_from([0, 1, 2, 3]) | JSON,
        "start_ms": st.sampled_from([19, 20, 1000, 1001]) | JSON,
        "audio": st.binary(max_size=64).map(lambda data: base64.b64encode(data).decode()) | JSON,
        "name": st.text(max_size=300) | JSON,
        "utterance": JSON,
    },
)


@given(st.text(max_size=200) | st.binary(max_size=200) | NEARLY.map(json.dumps))
def test_whatever_comes_is_a_message_or_a_named_error(data):
    try:
        assert isinstance(parse_message(data), KINDS)
    except BadMessage as error:
        assert error.name and error.detail and error.status == 400 and not error.fatal


def test_the_limits_are_those_of_the_live_layer():
    assert range(MIN_HZ, MAX_HZ + 1) == conversation.SAMPLE_RATES
    assert range(MIN_START_MS, MAX_START_MS + 1) == conversation.START_MS


def test_what_is_left_out_has_a_meaning():
    assert parse_message('{"type":"begin","sample_rate":24000}') == Begin(24_000, 1, None)
    assert parse_message('{"type":"cancel","what":"is not known is passed over"}') == Cancel(None)
    assert parse_message(b"\1\2") == parse_message('{"type":"append","audio":"AQI="}') == Append(b"\1\2")


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1])
def test_the_limit_of_a_message(size):
    if size <= MAX_MESSAGE_BYTES:
        assert parse_message(bytes(size)) == Append(bytes(size))
        return
    with pytest.raises(BadMessage) as refused:
        parse_message(bytes(size))
    assert (refused.value.name, refused.value.fatal) == ("too-large", True)


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"type":"commit","x":' * 100_000, '{"type":"begin","sample_rate":' + "9" * 5000 + "}", "\ud800"],
)
def test_what_is_made_to_exhaust_the_parser(text):
    with pytest.raises(BadMessage):
        parse_message(text)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_every_message_in_every_state(state, message):
    if type(message) in TABLE[state]:
        assert step(state, message) is TABLE[state][type(message)]
        return
    with pytest.raises(BadMessage) as refused:
        step(state, message)
    assert refused.value.name == ("already-begun" if isinstance(message, Begin) else "not-begun")


def test_what_may_be_said_when():
    assert {kind for kind in KINDS if kind not in TABLE[State.IDLE]} == {Append, Mark, Commit}
    assert {kind for kind in KINDS if kind not in TABLE[State.OPEN]} == {Begin}
    assert set(TABLE[State.OVER]) == set(KINDS)  # who was interrupted may not know it yet


def test_errors_are_called_for_programs_as_their_class_is():
    errors: list[ServerError] = [AlreadySpeaking(""), NotOnAir(""), TooMany(""), BadMessage("x-y", "")]
    assert [error_name(error) for error in errors] == ["already-speaking", "not-on-air", "too-many", "x-y"]


# --- the intake


@given(
    st.sampled_from([1, 2]),
    st.lists(st.binary(max_size=3 * PIECE_BYTES // 64) | st.sampled_from([Mark("m"), None]), max_size=40),
)
def test_what_was_accepted_comes_out_in_order_and_whole(channels, said):
    """``None`` stands for "something is handed on"."""
    intake, accepted, handed_on = Intake(PcmFormat(24_000, channels)), [], []
    for each in said:
        if each is None:
            handed_on.append(intake.take())
        elif isinstance(each, Mark):
            intake.put(each)
            accepted.append(each)
        else:
            try:
                intake.append(each)
            except BadMessage as error:
                assert error.name == "cut-sample" and len(each) % (2 * channels)
            else:
                accepted.append(each)
    intake.put(Commit())
    while (item := intake.take()) is not None:
        handed_on.append(item)
    assert isinstance(handed_on.pop(), Commit)
    assert b"".join(item for item in handed_on if isinstance(item, bytes)) == b"".join(
        each for each in accepted if isinstance(each, bytes)
    )
    assert intake.received == sum(len(each) for each in accepted if isinstance(each, bytes))
    assert sum(isinstance(item, Mark) for item in handed_on) == sum(isinstance(each, Mark) for each in accepted)
    assert not intake.full and intake.take() is None


def test_a_mark_stays_between_the_samples_it_came_between():
    intake = Intake(PcmFormat(24_000, 1))
    intake.append(bytes(PIECE_BYTES + 2))
    intake.put(Mark("between"))
    intake.append(bytes(4))
    sizes = [len(item) if isinstance(item, bytes) else item for item in (intake.take() for _ in range(4))]
    assert sizes == [PIECE_BYTES, 2, Mark("between"), 4]


def test_no_more_is_read_than_the_limits_say():
    intake = Intake(PcmFormat(24_000, 1))
    intake.append(bytes(AHEAD_BYTES - 2))
    assert not intake.full
    intake.append(bytes(2))
    assert intake.full
    intake.take()
    assert not intake.full
    intake.clear()
    for index in range(AHEAD_ITEMS):
        assert not intake.full
        intake.put(Mark(str(index)))
    assert intake.full


def test_who_sends_more_than_it_may_is_told_once():
    intake = Intake(PcmFormat(24_000, 1))
    intake.allow(100)
    intake.append(bytes(100))
    assert not intake.overrun()
    intake.allow(10)
    intake.append(bytes(12))
    assert [intake.overrun(), intake.overrun()] == [True, False]
    intake.append(bytes(100))
    assert not intake.overrun()


def test_the_end_of_a_client_comes_after_what_it_said():
    intake = Intake(PcmFormat(24_000, 1))
    intake.append(b"\0\0")
    intake.put(Gone())
    assert intake.take() == b"\0\0" and isinstance(intake.take(), Gone)
