"""STUN: the vectors of RFC 5769, round trips, and any datagram."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.agent.stun import (
    Attribute,
    Kind,
    MalformedStun,
    Message,
    error_value,
    looks_like_stun,
    new_transaction,
    parse_stun,
    xor_address,
)

PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex(
    "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff"
    "80290008 932ff9b151263b36 00060009 6576746a3a68367659202020 00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004 e57a3bcf"
)
RESPONSE_IPV4 = bytes.fromhex(
    "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147e112a643"
    "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96"
)
RESPONSE_IPV6 = bytes.fromhex(
    "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220"
    "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004 c8fb0b4c"
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(Kind),
    st.binary(min_size=12, max_size=12),
    st.lists(st.tuples(st.sampled_from([0x0006, 0x0024, 0x8029, 0xC001]), st.binary(max_size=40)), max_size=5).map(
        tuple
    ),
    st.integers(0, 0xFF),  # larger ones would not begin with 0 to 3, which is how STUN is told from media
)


def test_the_request_of_rfc_5769_is_read_and_verified() -> None:
    message = parse_stun(REQUEST)
    assert (message.kind, message.transaction, message.method) == (Kind.REQUEST, TRANSACTION, 1)
    assert message.value(Attribute.USERNAME) == b"evtj:h6vY"
    assert message.number(Attribute.PRIORITY) == 0x6E0001FF
    assert message.number(Attribute.ICE_CONTROLLED) == 0x932FF9B151263B36
    assert message.value(Attribute.USE_CANDIDATE) is None
    assert message.is_from(PASSWORD)
    assert not message.is_from("another")


@pytest.mark.parametrize(
    ("datagram", "address"),
    [(RESPONSE_IPV4, "192.0.2.1"), (RESPONSE_IPV6, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_the_responses_of_rfc_5769_are_read_and_verified(datagram: bytes, address: str) -> None:
    message = parse_stun(datagram)
    assert message.kind is Kind.SUCCESS
    assert message.mapped_address == (address, 32853)
    assert message.is_from(PASSWORD)
    assert message.value(Attribute.XOR_MAPPED_ADDRESS) == xor_address((address, 32853), TRANSACTION)


@given(MESSAGES, st.text(min_size=1, max_size=20))
def test_a_message_survives_the_wire_and_only_its_password_verifies_it(message: Message, password: str) -> None:
    read = parse_stun(message.to_bytes(password))
    assert (read.kind, read.transaction, read.attributes, read.method) == (
        message.kind,
        message.transaction,
        message.attributes,
        message.method,
    )
    assert read.is_from(password)
    assert not read.is_from(password + "x")


@given(MESSAGES)
def test_an_unsigned_message_is_from_nobody(message: Message) -> None:
    assert not parse_stun(message.to_bytes(None)).is_from("")


def test_what_follows_the_signature_is_not_read() -> None:
    message = Message(Kind.REQUEST, new_transaction(), ((Attribute.PRIORITY, b"\0\0\0\1"),))
    signed = message.to_bytes("secret")[:-8]  # without its fingerprint
    late = signed + bytes.fromhex("00250000")
    length = (len(late) - 20).to_bytes(2, "big")
    read = parse_stun(late[:2] + length + late[4:])
    assert read.value(Attribute.USE_CANDIDATE) is None
    assert read.is_from("secret")


def test_an_error_code_is_read() -> None:
    error = Message(Kind.ERROR, new_transaction(), ((Attribute.ERROR_CODE, error_value(487, "Role Conflict")),))
    assert parse_stun(error.to_bytes(None)).error_code == 487


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: REQUEST[:20] + tail))
def test_any_datagram_is_a_message_or_malformed(datagram: bytes) -> None:
    try:
        message = parse_stun(datagram)
    except MalformedStun:
        return
    assert looks_like_stun(datagram)
    assert parse_stun(message.to_bytes(None)).attributes == message.attributes


@given(st.integers(0, len(REQUEST) - 9), st.integers(1, 255))  # the fingerprint itself is not signed
def test_a_damaged_message_is_noticed(at: int, change: int) -> None:
    damaged = bytearray(REQUEST)
    damaged[at] ^= change
    try:
        message = parse_stun(bytes(damaged))
    except MalformedStun:
        return
    assert not message.is_from(PASSWORD)
