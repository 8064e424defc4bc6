"""What Hypothesis draws from: offers and fragments of real clients, whole and broken in the ways that bytes break."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.offers import offer, section

OFFERS: Final = Path(__file__).parent / "data" / "offers"
"""Recorded ones, and in ``imitated`` those of clients that cannot be run here."""

HUGE: Final = ("4294967295", "4294967296", "99999999999999999999", "-1", "65536", "0", "007", "1e9", "0x7f", "٣", "²")
"""Numbers beyond every bound, and digits that are not ASCII: the last is a digit to Python, and yet no number."""
GARBAGE: Final = ("\x00", "\x1b", "\u2028", "\ufeff", "\U0001f600", "é", " ", "\t", "=", ":", ";", "\x7f", "\udcff")
"""Characters that parsers trip over; the last one cannot be encoded."""
CANDIDATES: Final = (
    "1 1 udp 2130706431 192.0.2.1 5000 typ host",
    "1 0 udp 2130706431 192.0.2.1 5000 typ host",
    "a 1 UDP 1 2001:db8::7 5001 typ srflx raddr :: rport 9",
    "1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
    "1 1 udp 1 c1b46c0e-0a53.local 5000 typ host",
    "1 1 udp 99999999999 192.0.2.1 5000 typ host",
    "1 1 udp 1 fe80::1%eth0 5000 typ host",
    "1 1 udp 1 192.0.2.1 5000 typ",
    "",
)


@cache
def texts(pattern: str) -> dict[str, str]:
    """Name and text of each file that was recorded or written after a client."""
    found = sorted(OFFERS.rglob(pattern))
    return {path.stem: path.read_bytes().decode() for path in found}


def protocol_of(text: str) -> str:
    """The endpoint that an offer is for."""
    return "whip" if "a=sendonly" in text else "whep"


def trickling_clients() -> list[str]:
    """Those of which there is an offer and a fragment that belongs to it; React Native's is JSON."""
    return sorted(name for name in texts("*.sdp").keys() & texts("*.sdpfrag") if not name.startswith("react-native"))


def offer_texts() -> list[str]:
    """Whole offers: those of clients, and the two built from parts that other tests use."""
    return [*texts("*.sdp").values(), offer(), offer(sections=[section("video", None)])]


def fragment_texts() -> list[str]:
    """Whole trickle fragments, and one body that is none."""
    head = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 22
    return [
        *texts("*.sdpfrag").values(),
        f"{head}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:{CANDIDATES[0]}\r\n",
    ]


# --- lines


Change = Callable[[DrawFn, list[str]], None]


def at(draw: DrawFn, lines: list[str]) -> int:
    """A place in a list that is not empty."""
    return draw(st.integers(0, len(lines) - 1))


def drop(draw: DrawFn, lines: list[str]) -> None:
    del lines[at(draw, lines)]


def double(draw: DrawFn, lines: list[str]) -> None:
    line = lines[at(draw, lines)]
    lines.insert(at(draw, lines), line)


def swap(draw: DrawFn, lines: list[str]) -> None:
    one, other = at(draw, lines), at(draw, lines)
    lines[one], lines[other] = lines[other], lines[one]


def cut(draw: DrawFn, lines: list[str]) -> None:
    place = at(draw, lines)
    lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]


def spoil(draw: DrawFn, lines: list[str]) -> None:
    place = at(draw, lines)
    inside = draw(st.integers(0, len(lines[place])))
    lines[place] = lines[place][:inside] + draw(st.sampled_from(GARBAGE)) + lines[place][inside:]


def inflate(draw: DrawFn, lines: list[str]) -> None:
    """Put another number where one stands."""
    place = at(draw, lines)
    words = lines[place].split(" ")
    words[at(draw, words)] = draw(st.sampled_from(HUGE))
    lines[place] = " ".join(words)


def graft(draw: DrawFn, lines: list[str]) -> None:
    """A line of another client's offer."""
    other = draw(st.sampled_from(offer_texts())).splitlines()
    lines.insert(at(draw, lines), draw(st.sampled_from(other)))


def turn(draw: DrawFn, lines: list[str]) -> None:
    """Another direction, port or role: still an offer."""
    swaps = {
        "a=recvonly": ("a=sendrecv", "a=sendonly", "a=inactive"),
        "a=sendonly": ("a=sendrecv", "a=recvonly", "a=inactive"),
        "a=setup:actpass": ("a=setup:active", "a=setup:passive", "a=setup:holdconn"),
        "a=rtcp-mux": ("a=x",),
    }
    places = [place for place, line in enumerate(lines) if line in swaps]
    for place in places and [draw(st.sampled_from(places))]:
        lines[place] = draw(st.sampled_from(swaps[lines[place]]))


GENTLE: Final = (drop, double, graft, turn)
"""Mostly leave an offer that can be read."""
CHANGES: Final[tuple[Change, ...]] = (*GENTLE, *GENTLE, swap, cut, spoil, inflate)


@st.composite
def broken(draw: DrawFn, whole: list[str]) -> str:
    """One of the texts with up to five things done to its lines, and perhaps other line ends."""
    lines = draw(st.sampled_from(whole)).splitlines()
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=5)):
        if lines:
            change(draw, lines)
    ending = draw(st.sampled_from(("\r\n", "\n", "\r", "\r\n\r\n")))
    return ending.join(lines) + draw(st.sampled_from(("", ending)))


def offers() -> SearchStrategy[str]:
    """What a peer might POST: mostly nearly right, sometimes not SDP at all."""
    return broken(offer_texts()) | st.text(max_size=300)


@st.composite
def fragments(draw: DrawFn) -> bytes:
    """What a peer might PATCH."""
    text = draw(broken(fragment_texts()) | fragment_lines())
    return text.encode("utf-8", "surrogateescape") + draw(st.sampled_from((b"", b"\xff", b"\x00")))


@st.composite
def fragment_lines(draw: DrawFn) -> str:
    """Fragments from lines that belong there, in any order."""
    candidate = st.sampled_from(CANDIDATES).map("a=candidate:{}".format)
    mid = st.sampled_from(("a=mid:0", "a=mid:video1", "a=mid:", "m=audio 9 RTP/AVP 0", "m=", "a=end-of-candidates"))
    credential = st.sampled_from(("a=ice-ufrag:abcd", "a=ice-ufrag:", "a=ice-pwd:" + "p" * 22, "a=ice-pwd:short"))
    return draw(st.sampled_from(("\r\n", "\n"))).join(draw(st.lists(candidate | mid | credential, max_size=80)))


# --- headers

TOKENS: Final = ('"tag"', "tag", 'W/"tag"', "*", '"*"', '"other"', '""', '"', ",", ", ", " ", '"ta"g"', "W/", "\u00ff")


def if_matches() -> SearchStrategy[str | None]:
    """If-Match as players send it, and as nobody should."""
    listed = st.lists(st.sampled_from(TOKENS), max_size=6).map("".join)
    return st.none() | listed | header_values()


def authorizations() -> SearchStrategy[str | None]:
    """Authorization: with and without a scheme, of any scheme, the token that is right among them."""
    scheme = st.sampled_from(("Bearer ", "bearer ", "BEARER  ", "Basic ", "", "Bearer", "Bearer\t"))
    token = st.sampled_from(("secret", "undefined", "", "secret,", "Bearer secret", "\u00e9")) | header_values()
    return st.none() | st.tuples(scheme, token).map("".join)


def header_values() -> SearchStrategy[str]:
    """What HTTP/1.1 lets through: latin-1 without control characters."""
    return st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=200)
