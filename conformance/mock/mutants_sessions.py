"""Mutants of what may be done to a session: L (its end), T (trickle), R (restart) and S (tokens)."""

from dataclasses import replace
from typing import Final

from conformance import ProtocolName
from conformance.mock.http import Reply
from conformance.mock.rewriting import (
    Mutant,
    at,
    body,
    both,
    created,
    headed,
    header,
    in_turn,
    instead,
    lacking,
    patches,
    reply_changed,
    request_changed,
    sends,
    status,
    using,
)

TOKEN: Final = "mock-token"
"""What the mock asks for where it asks at all."""
FAULT: Final = Reply(500)
NO_CONTENT: Final = Reply(204)
WHEP: Final[frozenset[ProtocolName]] = frozenset({"whep"})
FOR_EVER_S: Final = 1e9


ENDINGS: Final = (
    Mutant("L-01", "DELETE gets 204", reply_changed(status(204), at("DELETE", 200))),
    Mutant("L-01", "DELETE gets 405", instead(using("DELETE"), Reply(405))),
    Mutant("L-02", "DELETE of what is gone gets 200", reply_changed(status(200), at("DELETE", 404))),
    Mutant("L-03", "DELETE obeys If-Match", instead(both(using("DELETE"), sends("if-match", '"nope"')), Reply(412))),
    Mutant("L-12", "a session waits for ever", setup={"abandoned_s": FOR_EVER_S}, limits={"abandoned_s": 0.2}),
)

TRICKLED: Final = (
    Mutant("T-01", "a tag without quotes", reply_changed(header("ETag", "abc"), created)),
    Mutant("T-01", "a weak tag", reply_changed(header("ETag", 'W/"abc"'), created)),
    Mutant("T-01", "the header is E-Tag", reply_changed(header("E-Tag", '"abc"'), created)),
    Mutant("T-02", "a trickle PATCH gets 200", reply_changed(status(200), at("PATCH", 204))),
    Mutant("T-03", "a trickle PATCH gets an ETag", reply_changed(header("ETag", '"abc"'), at("PATCH", 204))),
    Mutant("T-04", "trickle without ETag", reply_changed(header("ETag", None), created)),
    Mutant("T-05", "no If-Match is a fault", instead(both(patches(), sends("if-match", None)), FAULT)),
    Mutant("T-05", "no If-Match is lenient", setup={"strict": False}, options={"strict": True}),
    Mutant("T-06", "If-Match is never looked at", request_changed(headed("If-Match", None))),
    Mutant("T-07", "If-Match: * is always a restart", instead(both(patches(), sends("if-match", "*")), Reply(412))),
    Mutant("T-08", 'If-Match: "*" is malformed', instead(both(patches(), sends("if-match", '"*"')), Reply(400))),
    Mutant(
        "T-09",
        "a fragment may be JSON",
        instead(both(patches(), sends("content-type", "application/json")), NO_CONTENT),
    ),
    Mutant("T-09", "JSON gets 400", reply_changed(status(400), at("PATCH", 415)), WHEP, options={"strict": True}),
    Mutant("T-10", "garbage gets 204", instead(patches('{"candidate"'), NO_CONTENT)),
    Mutant(
        "T-10",
        "garbage ends the session",
        request_changed(lambda asked: replace(asked, method="DELETE"), patches('{"candidate"')),
    ),
    Mutant("T-11", "one odd candidate spoils all", instead(patches(".local"), Reply(400))),
    Mutant(
        "T-12",
        "credentials must stand above",
        instead(both(patches("a=mid"), lacking(patches("a=ice-pwd"))), Reply(400)),
    ),
    Mutant("T-12", "LF is malformed", instead(both(patches("a=mid"), lacking(patches("\r\n"))), Reply(400))),
    Mutant(
        "T-13",
        "a fragment needs candidates",
        instead(both(patches("a=end-of"), lacking(patches("a=candidate"))), Reply(400)),
    ),
    Mutant("T-14", "PATCH of what is not there gets 204", reply_changed(lambda *_: NO_CONTENT, at("PATCH", 404))),
    Mutant("T-14", "PATCH of what is not there is a fault", reply_changed(status(500), at("PATCH", 404))),
    Mutant("T-15", "an answer is taken any time", reply_changed(lambda *_: NO_CONTENT, at("PATCH", 422))),
    Mutant("T-16", "Accept-Patch names JSON", reply_changed(header("Accept-Patch", "application/json"), created)),
)

RESTARTED: Final = (
    Mutant("R-01", "a restart gets 204", reply_changed(lambda *_: NO_CONTENT, at("PATCH", 200))),
    Mutant("R-01", "a restart gets 405", reply_changed(lambda *_: Reply(405), at("PATCH", 200))),
    Mutant(
        "R-02",
        "a restart says no password",
        reply_changed(body(lambda text: text.replace("a=ice-pwd", "a=x")), at("PATCH", 200)),
    ),
    Mutant(
        "R-02", "a restart's reply is SDP", reply_changed(header("Content-Type", "application/sdp"), at("PATCH", 200))
    ),
    Mutant("R-03", "a restart without ETag", reply_changed(header("ETag", None), at("PATCH", 200))),
    Mutant("R-03", "the old tag still serves", request_changed(headed("If-Match", "*"), patches())),
    Mutant(
        "R-04",
        "a restart changes the options",
        reply_changed(body(lambda text: text.replace("options:trickle", "options:ice2")), at("PATCH", 200)),
    ),
    Mutant("R-04", "a restart turns lite", reply_changed(body(lambda text: "a=ice-lite\r\n" + text), at("PATCH", 200))),
)

TRUSTED: Final = (
    Mutant("S-01", "no token is needed", setup={"token": None}),
    Mutant("S-01", "401 without WWW-Authenticate", reply_changed(header("WWW-Authenticate", None))),
    Mutant("S-02", "any token will do", request_changed(headed("Authorization", f"Bearer {TOKEN}"), using("POST"))),
    Mutant("S-02", "a wrong token is 403", reply_changed(status(403), at("POST", 401)), options={"strict": True}),
    Mutant(
        "S-03",
        "the scheme has a capital",
        instead(lambda asked: (asked.header("authorization") or "").startswith("bearer"), Reply(401)),
    ),
    Mutant(
        "S-04", "a preflight needs a token", instead(both(using("OPTIONS"), sends("authorization", None)), Reply(401))
    ),
    Mutant(
        "S-05", "a wrong token may delete", request_changed(headed("Authorization", f"Bearer {TOKEN}"), using("DELETE"))
    ),
    Mutant(
        "S-05",
        "a refused DELETE ends the session",
        in_turn(
            reply_changed(status(401), at("DELETE", 200)),
            request_changed(headed("Authorization", f"Bearer {TOKEN}"), using("DELETE")),
        ),
    ),
    Mutant("S-06", "no token is a fault", instead(both(using("DELETE"), sends("authorization", None)), FAULT)),
    Mutant("S-06", "the URL is the permission", setup={"strict": False}, options={"strict": True}),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*ENDINGS, *TRICKLED, *RESTARTED, *TRUSTED)
