"""What the fuzzers call: one function an input, which takes any bytes and lets nothing through but a bug.

Each decodes its bytes as the server would, hands them to the code under test, and checks what must hold of the outcome
(``tests/invariants.py``). The errors that a peer may be answered with are caught here; whatever else is raised is what
the fuzzer looks for. ``test_corpus.py`` calls the same functions, without a fuzzer, with all that was ever found.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from aiortc.sdp import candidate_from_sdp

from tests.fuzz import media_harnesses
from tests.fuzz.asgi_requests import sending
from tests.invariants import PLANNERS, check_answer, check_parsed, check_served, check_shown, planned
from whep_server.compat.announcements import Announcements
from whep_server.errors import (
    MalformedFragment,
    MalformedSdp,
    PreconditionFailed,
    PreconditionMissing,
    RangeUnsatisfiable,
    Unauthorized,
)
from whep_server.signaling.headers import check_if_match, given_token, ice_server_link
from whep_server.signaling.sdp import MAX_CANDIDATES, parse_offer, usable_candidate
from whep_server.signaling.sdpfrag import Credentials, parse_fragment
from whep_server.signaling.tokens import EVERY, Grant, Keyring, Scope, Secret
from whep_server.web.auth import OFFERED, offered_token
from whep_server.web.bodies import media_type
from whep_server.web.downloads import check_range
from whep_server.web.exchange import ENDPOINT_METHODS, SESSION_METHODS, options_headers
from whep_server.web.files import parse_range

FOLDER: Final = Path(__file__).parent
KNOWN: Final = Credentials("abcd", "p" * 22)


def fuzz_offer(data: bytes) -> None:
    """An offer from its bytes to the dressed answer, as a player's and as a publisher's."""
    try:
        text = data.decode()
        check_parsed(parse_offer(text))
    except (UnicodeDecodeError, MalformedSdp):
        return
    for planner in PLANNERS.values():
        plan = planned(text, planner)
        if plan is not None:
            check_served(plan)
            check_shown(plan)
            check_answer(plan, candidates=12, padding=60)


def fuzz_fragment(data: bytes) -> None:
    """A trickle fragment: what it says, written and read again; whether it restarts ICE; candidates aiortc can read."""
    try:
        fragment = parse_fragment(data)
    except MalformedFragment:
        return
    assert parse_fragment(fragment.to_bytes()) == fragment
    assert len(fragment.candidates) <= MAX_CANDIDATES
    for candidate in fragment.candidates:
        assert usable_candidate(candidate.value) == candidate.value
        assert candidate_from_sdp(candidate.value).component == 1
    try:
        fresh = fragment.restart_from(KNOWN)
    except MalformedFragment:
        return
    assert fresh is None or (fresh.ufrag, fresh.password) == (fragment.ufrag, fragment.password)


KEYS: Final = Keyring(
    [Secret("", "s" * 32)], [(token, Grant(frozenset({Scope.WATCH}), EVERY)) for token in ("other", "secret")]
)


def fuzz_headers(data: bytes) -> None:
    """Lines that stand for If-Match, Authorization, ``?token=``, Content-Type, Origin, an ICE server's parts, Range,
    Last-Event-ID and a subprotocol.
    """
    lines = data.decode("latin-1").split("\n")
    values = [line if line != "-" else None for line in lines[:11]]  # "-": the header is not there
    values += [None] * (11 - len(values))
    if_match, authorization, query, content_type, origin, asked, user, secret, part, last, protocol = values
    check_places(part, last)
    token = offered_token([protocol or ""])
    assert token is None or (protocol or "").startswith(OFFERED)
    for strict in (False, True):
        try:
            check_if_match(if_match, '"tag"', strict=strict)
        except (PreconditionFailed, PreconditionMissing) as error:
            assert error.status in (412, 428)
    given = given_token(authorization, query)
    if given is not None:
        try:
            assert KEYS.read(given, 0.0) and given in ("other", "secret")
        except Unauthorized:
            assert given not in ("other", "secret")
    assert ";" not in media_type(content_type)
    request = {"origin": origin, "access-control-request-method": asked}
    present = {name: value for name, value in request.items() if value is not None}
    for methods in (ENDPOINT_METHODS, SESSION_METHODS):
        names = [name for name, _ in options_headers(present, methods, ["<stun:a.example>"])]
        assert ("Link" in names) == (len(present) < 2)
    assert ice_server_link("turn:a.example", user, secret).startswith('<turn:a.example>; rel="ice-server"')


def check_places(part: str | None, last: str | None) -> None:
    """Where a client goes on: in a file, or in what it was told."""
    for size in (0, 1, 1000):
        found = parse_range(part, size)
        assert found is None or 0 <= found[0] < found[1] <= size
        try:
            check_range(part, size)
        except RangeUnsatisfiable:
            assert found is None
    told = Announcements()
    account = told.begin("nova_req_0123abcd", 0.0)
    account.tell({"event": "chunk"})
    listener = told.listen(last)
    assert 0 <= listener._position <= len(account.events)


Harness = Callable[[bytes], None]

HARNESSES: Final[dict[str, Callable[[], AbstractContextManager[Harness]]]] = {
    "offer": lambda: nullcontext(fuzz_offer),
    "fragment": lambda: nullcontext(fuzz_fragment),
    "headers": lambda: nullcontext(fuzz_headers),
    "http": sending,
    "pcm": lambda: nullcontext(media_harnesses.pcm),
    "rtp": media_harnesses.rtp,
    "datagrams": media_harnesses.datagrams,
    "audio": lambda: nullcontext(media_harnesses.audio),
}
"""Each opens its harness: an application must be running while requests are sent to it."""


def corpus(name: str) -> list[Path]:
    """Inputs that together reach all that was ever reached, and those that once broke something."""
    return sorted(path for folder in ("corpus", "crashers") for path in (FOLDER / folder / name).glob("*"))
