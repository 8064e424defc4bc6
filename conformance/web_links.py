"""``Link`` headers (RFC 8288 section 3) and ICE server URIs (RFC 7064, RFC 7065), read strictly."""

import re
from dataclasses import dataclass
from typing import Final

import httpx

_TARGET: Final = re.compile(r"\s*<([^<>\"\s]*)>")
_PARAMETER: Final = re.compile(
    r"\s*;\s*([!#$&+.^_`|~0-9A-Za-z*-]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;=]+)))?"
)
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+=-]+)"
_ICE_URI: Final = re.compile(
    rf"(stuns?:{_HOST}(?::\d{{1,5}})?|turns?:{_HOST}(?::\d{{1,5}})?(?:\?transport=[A-Za-z0-9-]+)?)"
)


class MalformedLink(ValueError):
    """A ``Link`` header that breaks the grammar."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link value."""

    target: str
    parameters: tuple[tuple[str, str], ...]
    """In order; names in lower case."""

    def get(self, name: str) -> str | None:
        """The first value of a parameter: later ones of that name are ignored (RFC 8288 3)."""
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def rel(self) -> str:
        """The relation type in lower case; empty where there is none."""
        return (self.get("rel") or "").lower()

    @property
    def ice(self) -> bool:
        """Whether its target looks like an ICE server, whatever its relation says."""
        return self.target.partition(":")[0].lower() in ("stun", "stuns", "turn", "turns")


def parse_links(value: str) -> list[Link]:
    """The links of one header line. Errors: MalformedLink."""
    links, at = [], 0
    while at < len(value):
        start = _TARGET.match(value, at)
        if start is None:
            raise MalformedLink(f"no <target> at {value[at : at + 30]!r}")
        at, parameters = start.end(), []
        while (part := _PARAMETER.match(value, at)) is not None:
            text = part[2] if part[2] is not None else part[3] or ""
            parameters.append((part[1].lower(), re.sub(r"\\(.)", r"\1", text)))
            at = part.end()
        links.append(Link(start[1], tuple(parameters)))
        rest = value[at:].lstrip()
        if rest and not rest.startswith(","):
            raise MalformedLink(f"unexpected {rest[:30]!r} after {start[0].strip()}")
        at = len(value) - len(rest) + 1
    return links


def links_of(reply: httpx.Response) -> list[Link]:
    """All links of a reply. Errors: MalformedLink."""
    return [link for value in reply.headers.get_list("link") for link in parse_links(value)]


def is_ice_uri(text: str) -> bool:
    """Whether this is a STUN or TURN URI by its RFC: no ``//``, no user, no path."""
    return _ICE_URI.fullmatch(text) is not None
