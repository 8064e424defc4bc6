"""Datagrams told apart by what is in them: whole ones, cut ones, and anything at all."""

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from whep_server.rtc.demultiplex import HEADER_BYTES, Kind, kind_of, transaction_of, ufrag_of


def message(kind: stun.Class, **attributes: object) -> stun.Message:
    return stun.Message(stun.Method.BINDING, kind, attributes=dict(attributes))


def test_the_first_byte_decides_as_in_rfc_7983():
    rest = bytes(message(stun.Class.RESPONSE))[1:]
    expected = {0: Kind.REQUEST, 1: Kind.STUN, 2: Kind.STUN, 3: Kind.STUN}
    expected |= dict.fromkeys([*range(20, 64), *range(128, 192)], Kind.MEDIA)
    kinds = {first: kind_of(bytes([first]) + rest) for first in range(256)}
    assert kinds == {first: expected.get(first, Kind.NOTHING) for first in range(256)}


@pytest.mark.parametrize("kind", stun.Class)
def test_a_request_is_told_from_all_other_stun(kind):
    made = message(kind)
    assert kind_of(bytes(made)) is (Kind.REQUEST if kind is stun.Class.REQUEST else Kind.STUN)
    assert transaction_of(bytes(made)) == made.transaction_id
    assert kind_of(bytes(made)[: HEADER_BYTES - 1]) is Kind.NOTHING
    without_cookie = bytearray(bytes(made))
    without_cookie[4] ^= 1
    assert kind_of(bytes(without_cookie)) is Kind.NOTHING


@given(st.text("abcXYZ019+/", min_size=1, max_size=40), st.booleans())
def test_the_ufrag_before_the_colon_is_ours_wherever_it_stands(ufrag, last):
    named = {"USERNAME": f"{ufrag}:theirs"}
    other = {"PRIORITY": 1, "SOFTWARE": "odd"}
    request = message(stun.Class.REQUEST, **({**other, **named} if last else {**named, **other}))
    request.add_message_integrity(b"password")
    assert ufrag_of(bytes(request)) == ufrag.encode()


@given(st.binary(max_size=200))
def test_anything_at_all_is_some_kind_and_names_somebody_or_nobody(datagram):
    kind_of(datagram)
    found = ufrag_of(datagram)
    assert found is None or found + b":" in datagram


def test_a_username_without_a_colon_names_nobody():
    assert ufrag_of(bytes(message(stun.Class.REQUEST, USERNAME="ours"))) is None
    assert ufrag_of(bytes(message(stun.Class.REQUEST))) is None
