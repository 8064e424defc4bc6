"""Text in a request, and what becomes of it on its way to who reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.errors import BadRequest, UnsupportedType
from whep_server.web.espeak_ng import plain, voice_options
from whep_server.web.speech_endpoint import reason_in
from whep_server.web.text import TextRequest, decode, is_text, parse_json, sayable


def test_what_is_text_and_what_is_sound():
    assert is_text("text/plain") and is_text("Text/Plain; charset=utf-8") and is_text("application/json")
    for kind in (None, "", "audio/wav", "application/octet-stream", "application/x-www-form-urlencoded", "text/html"):
        assert not is_text(kind)


def test_control_characters_are_not_spoken_and_lines_stay():
    assert sayable("\x00Hello,\x1b[31m\tyou\x7f!\r\nNext\u0085line. ") == "Hello, [31m you !\x20\nNext line."
    assert sayable("<speak>3 < 4 & ünïcode 🙂</speak>") == "<speak>3 < 4 & ünïcode 🙂</speak>"
    assert sayable(" \n\t\x00 ") == sayable("") == ""


@given(st.text())
def test_no_text_has_control_characters_left(text):
    said = sayable(text)
    assert said.isprintable() or all(letter == "\n" or ord(letter) > 0x9F or letter.isprintable() for letter in said)
    assert sayable(said) == said


def test_plain_text_is_utf_8():
    assert decode("\ufeffhé".encode(), "text/plain") == decode("hé".encode(), "text/plain; charset=UTF-8") == "hé"
    with pytest.raises(UnsupportedType):
        decode(b"h\xe9", "text/plain; charset=iso-8859-1")
    with pytest.raises(BadRequest):
        decode(b"h\xe9", "text/plain")


def test_json_says_how_it_should_sound():
    body = b'{"text": "hi", "voice": "nova", "speed": 2, "model": "m", "instructions": "softly"}'
    assert parse_json(body) == TextRequest("hi", "nova", 2.0, "m", "softly")
    assert parse_json(b'{"text": "hi"}') == TextRequest("hi")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "truncated"),
        (b"hello", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"input": "hi"}', "`input`"),
        (b'{"text": 7}', r"Expected `str`.*\$\.text"),
        (b'{"text": "hi", "speed": 0.2}', r">= 0.25.*\$\.speed"),
        (b'{"text": "hi", "speed": 5}', r"<= 4.0"),
        (b'{"text": "hi", "speed": NaN}', "malformed"),
        (b'{"text": "hi", "voice": ""}', r"\$\.voice"),
        (b'{"text": "hi", "voise": "x"}', "voise"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b'{"text": "\\ud800"}', "not text"),
    ],
)
def test_what_is_wrong_in_the_json_is_named(body, words):
    with pytest.raises(BadRequest, match=words):
        parse_json(body)


@given(st.binary())
def test_any_bytes_are_a_request_or_bad(body):
    try:
        assert isinstance(parse_json(body), TextRequest)
    except BadRequest:
        return


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "line\\none"}}', "line one"),
        (b'{"error": "plain"}', "plain"),
        (b'{"detail": {"error": "x", "message": "y"}}', "x"),
        (b'{"detail": []}', ""),
        (b'{"error": {"code": 3}}', ""),
        (b'{"message": 7}', ""),
        (b"[[[[[[1]]]]]]", ""),
        (b"not json", ""),
        (b"\xff\xfe", ""),
        (b'{"error": "' + b"x" * 999 + b'"}', "x" * 200),
    ],
)
def test_the_reason_in_a_refusal(body, said):
    assert reason_in(body) == said


def test_speeds_are_kept_within_what_espeak_can_do():
    speeds = [voice_options("en", speed)[3] for speed in (None, 0.25, 1.0, 4.0)]
    assert speeds == ["175", "80", "175", "450"]
    assert plain("a [[b]] [c] [[[d") == "a [ [b]] [c] [ [ [d"
