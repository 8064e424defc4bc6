"""Mutants of what surrounds offers and sessions: D (discovery, CORS), X (links), B (addresses) and C (clients)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from conformance.mock.http import Reply, Request
from conformance.mock.rewriting import (
    Mutant,
    Wrap,
    at,
    at_session,
    both,
    created,
    header,
    instead,
    lacking,
    patches,
    posts,
    reply_changed,
    sends,
    status,
    using,
    with_header,
)

FAULT: Final = Reply(500)
ALLOW_HEADERS: Final = "Access-Control-Allow-Headers"
ALLOW_METHODS: Final = "Access-Control-Allow-Methods"
ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
EXTENSION: Final = '</live/x>; rel="urn:ietf:params:whep:ext:core:server-sent-events"'


def links_changed(change: Callable[[str], str]) -> Wrap:
    """Change every Link line of a 201."""

    def changed(_: Request, reply: Reply) -> Reply:
        lines = ((name, change(value) if name == "Link" else value) for name, value in reply.headers)
        return replace(reply, headers=tuple(lines))

    return reply_changed(changed, created)


def link_added(value: str, when: Callable[[Request, Reply], bool]) -> Wrap:
    """Add a Link line."""
    return reply_changed(lambda _, reply: replace(reply, headers=(*reply.headers, ("Link", value))), when)


def one_line(_: Request, reply: Reply) -> Reply:
    """All Link values joined into one line."""
    links = ", ".join(value for name, value in reply.headers if name == "Link")
    return replace(reply, headers=with_header(reply.headers, "Link", links))


def any_origin(request: Request, reply: Reply) -> Reply:
    """The asker's origin reflected, with credentials."""
    lines = with_header(reply.headers, ALLOW_ORIGIN, request.header("origin") or "*")
    return replace(reply, headers=with_header(lines, "Access-Control-Allow-Credentials", "true"))


def renamed(old: str, new: str) -> Wrap:
    """A header under another name."""

    def changed(_: Request, reply: Reply) -> Reply:
        return replace(reply, headers=tuple((new if name == old else name, value) for name, value in reply.headers))

    return reply_changed(changed)


def refusals(request: Request, reply: Reply) -> bool:
    """Whether a reply is a 4xx."""
    return 400 <= reply.status < 500


def to_session(request: Request) -> bool:
    """Whether a request asks for OPTIONS of a session."""
    return request.method == "OPTIONS" and at_session(request)


def session_level(request: Request) -> bool:
    """Whether an offer has its ICE credentials above the sections."""
    head, section, _ = request.body.partition(b"m=")
    return request.method == "POST" and bool(section) and b"a=ice-ufrag:" in head


def path_ends(text: str) -> Callable[[Request], bool]:
    """Requests whose path ends so."""
    return lambda request: request.path.endswith(text)


DISCOVERED: Final = (
    Mutant("D-01", "GET is 405", instead(lambda asked: asked.method == "GET" and not at_session(asked), Reply(405))),
    Mutant("D-01", "GET shows a page", reply_changed(lambda _, reply: replace(reply, body=b"<p>"), at("GET", 200))),
    Mutant("D-02", "HEAD is 405", instead(using("HEAD"), Reply(405))),
    Mutant("D-02", "HEAD has another type", reply_changed(header("Content-Type", "text/html"), at("HEAD"))),
    Mutant("D-03", "HEAD lacks a header of GET", reply_changed(header("Content-Type", None), at("HEAD"))),
    Mutant("D-03", "HEAD has another status", reply_changed(status(204), at("HEAD"))),
    Mutant("D-04", "GET of a session is 405", instead(both(using("GET"), at_session), Reply(405))),
    Mutant("D-05", "the header is Access-Post", renamed("Accept-Post", "Access-Post")),
    Mutant("D-05", "no Accept-Post", reply_changed(header("Accept-Post", None))),
    Mutant("D-06", "preflights allow no Authorization", reply_changed(header(ALLOW_HEADERS, "Content-Type"))),
    Mutant("D-06", "preflights allow any header but that", reply_changed(header(ALLOW_HEADERS, "*"))),
    Mutant("D-06", "preflights are 404", instead(using("OPTIONS"), Reply(404))),
    Mutant("D-07", "preflights allow no PATCH", reply_changed(header(ALLOW_METHODS, "POST, DELETE"))),
    Mutant("D-08", "preflights allow no DELETE", reply_changed(header(ALLOW_METHODS, "POST, PATCH"))),
    Mutant("D-08", "sessions have no preflight", instead(to_session, Reply(405))),
    Mutant("D-09", "preflights tell ICE servers", link_added('<stun:s.example.org>; rel="ice-server"', at("OPTIONS"))),
    Mutant("D-10", "nothing is exposed", reply_changed(header("Access-Control-Expose-Headers", None))),
    Mutant("D-10", "the ETag is not exposed", reply_changed(header("Access-Control-Expose-Headers", "Location"))),
    Mutant("D-11", "refusals forbid other sites", reply_changed(header(ALLOW_ORIGIN, None), refusals)),
    Mutant("D-12", "any origin, with credentials", reply_changed(any_origin)),
    Mutant("D-13", "PUT is 404", reply_changed(status(404), at("PUT", 405))),
    Mutant("D-13", "405 without Allow", reply_changed(header("Allow", None))),
    Mutant("D-13", "PUT is a fault", instead(using("PUT"), FAULT)),
    Mutant("D-14", "OPTIONS tells extensions", link_added(EXTENSION, at("OPTIONS"))),
)

LINKED: Final = (
    Mutant("X-01", "targets without brackets", links_changed(lambda value: value.replace("<", "").replace(">", ""))),
    Mutant("X-01", "attributes with a colon", links_changed(lambda value: value.replace("rel=", "rel:"))),
    Mutant("X-02", "stun:// as if it were a place", links_changed(lambda value: value.replace("stun:", "stun://"))),
    Mutant("X-02", "TURN without a user", links_changed(lambda value: value.replace(' username="u";', ""))),
    Mutant("X-02", "STUN without rel", links_changed(lambda value: value.replace('rel="ice-server"', 'title="x"'))),
    Mutant("X-03", "all on one line", reply_changed(one_line, created)),
    Mutant("X-03", "a credential with commas", links_changed(lambda value: value.replace('"c"', '"c,d"'))),
    Mutant(
        "X-03",
        "another order",
        links_changed(lambda value: value.replace('rel="ice-server"; username="u"', 'username="u"; rel="ice-server"')),
    ),
    Mutant("X-04", "an extension outside the name space", link_added('</live>; rel="layers"', created)),
    Mutant("X-04", "an extension that leads nowhere", reply_changed(lambda asked, reply: nowhere(reply), created)),
    Mutant(
        "X-05",
        "any event may be asked for",
        instead(both(posts("nope"), path_ends("/events")), Reply(201, (("Location", "/live/s/1/events/1"),))),
    ),
    Mutant("X-05", "event streams are not posted for", instead(both(using("POST"), path_ends("/events")), Reply(405))),
    Mutant("X-05", "a stream outlives its DELETE", reply_changed(status(200), at("GET", 404))),
    Mutant("X-07", "layers without their event", links_changed(lambda value: value.replace(",layers", ""))),
    Mutant("X-07", "choosing a layer is a fault", instead(path_ends("/layer"), FAULT)),
)


def nowhere(reply: Reply) -> Reply:
    """A 201 with an extension at an address that is not there; the name space is the reply's own guess."""
    lines = (("Link", f'</nowhere>; rel="urn:ietf:params:{protocol}:ext:x"') for protocol in ("whip", "whep"))
    return replace(reply, headers=(*reply.headers, *lines))


ADDRESSED: Final = (
    Mutant(
        "B-01",
        "a slash is redirected",
        instead(both(using("POST"), path_ends("/")), Reply(301, (("Location", "/live"),))),
    ),
    Mutant("B-02", "a redirect is 302", reply_changed(status(302), at("POST", 307))),
    Mutant("B-02", "a redirect leads nowhere", reply_changed(header("Location", "/nowhere"), at("POST", 307))),
    Mutant("B-03", "http", options={"allow_http": False}),
    Mutant("B-04", "too many is a fault", reply_changed(status(500), at("POST", 503)), setup={"most_sessions": 1}),
    Mutant(
        "B-04",
        "Retry-After is a word",
        reply_changed(header("Retry-After", "soon"), at("POST", 503)),
        setup={"most_sessions": 1},
    ),
    Mutant("B-04", "many PATCHes are a fault", instead(using("PATCH"), FAULT)),
    Mutant("B-05", "a NUL in a name is a fault", instead(path_ends("%00"), FAULT)),
    Mutant("B-05", "DELETE of anything is 200", reply_changed(status(200), at("DELETE", 404))),
)

IMITATED: Final = (
    Mutant("C-02", "no session-level ICE", instead(session_level, Reply(400))),
    Mutant(
        "C-02",
        "Location without slash",
        reply_changed(
            lambda _, reply: replace(
                reply,
                headers=with_header(reply.headers, "Location", (reply.header("location") or "").removeprefix("/live/")),
            ),
            created,
        ),
    ),
    Mutant("C-05", "component 0 is malformed", instead(patches("a=candidate:1 0 "), Reply(400))),
    Mutant("C-05", "no If-Match is 428", setup={"strict": True}),
    Mutant("C-06", "surround sound is malformed", instead(posts("multiopus"), Reply(400))),
    Mutant("C-06", "PATCH needs the token", setup={"strict": True}),
    Mutant(
        "C-07", "DELETE obeys If-Match", instead(both(using("DELETE"), lacking(sends("if-match", None))), Reply(412))
    ),
    Mutant(
        "C-07",
        "the type has a parameter",
        reply_changed(header("Content-Type", "application/sdp; charset=utf-8"), created),
    ),
    Mutant("C-09", "port 0 is always a refusal", instead(posts("a=bundle-only"), Reply(422))),
    Mutant("C-10", "High is all or nothing", instead(posts("profile-level-id=640c1f"), Reply(422))),
    Mutant("C-12", "an empty POST is a fault", instead(lambda asked: asked.method == "POST" and not asked.body, FAULT)),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*DISCOVERED, *LINKED, *ADDRESSED, *IMITATED)
