"""C, the part over HTTP alone: clients in the field, imitated by what each is documented to send.

Strict turns the expectation round where a client breaks the letter: its PATCH without If-Match must get 428, and where
a token is given its PATCH and DELETE without one must get 401.
"""

from functools import wraps
from typing import Final

import httpx

from conformance.canned import HOST, SDP, fragment
from conformance.check import Check, Result, Run, Severity, broken, check, noted, passed
from conformance.client_offers import mediamtx_reader, obs_30, rfc_9725_example, safari
from conformance.resource import answer_of, media_type
from conformance.target import NoSession, Target

COMPAT, INFO, MUST = Severity.COMPAT, Severity.INFO, Severity.MUST
OK, CREATED, NO_CONTENT = 200, 201, 204
UNAUTHORIZED, PRECONDITION_REQUIRED = 401, 428


class Steps:
    """What a client does in turn: each step's status beside the one that it needs."""

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._fault = ""

    def add(self, name: str, status: int, *wanted: int) -> None:
        """One step; any of ``wanted`` is right."""
        self._seen.append(f"{name} {status}")
        if status not in wanted and not self._fault:
            self._fault = f"{name}: {status}, needs {' or '.join(map(str, wanted))}"

    @property
    def verdict(self) -> Result:
        """Broken by the first step that went wrong."""
        return broken(self._fault) if self._fault else passed(", ".join(self._seen))


def imitation(run: Run) -> Run:
    """A check whose own offer must be taken: where others are skipped without a session, this one is broken."""

    @wraps(run)
    async def judged(target: Target) -> Result:
        try:
            return await run(target)
        except NoSession as refusal:
            return broken(str(refusal))

    return judged


def without_token(target: Target, status: int) -> int:
    """What a request without the token must get: refused in strict mode, where there is a token."""
    return UNAUTHORIZED if target.strict and target.wire.token else status


@check(
    "C-02",
    on="whip",
    severity=COMPAT,
    clauses=("I-EP-03",),
    text="OBS 30.1: ICE and DTLS at session level; wants 201, and the Location by its own simple rule.",
)
@imitation
async def obs(target: Target) -> Result:
    """OBS takes http… as it is and anything else for an absolute path."""
    steps = Steps()
    async with target.session(obs_30()) as session:
        steps.add("POST", session.reply.status_code, CREATED)
        value = session.reply.headers["location"]
        url = httpx.URL(value) if value.startswith("http") else target.url.copy_with(raw_path=_path(value))
        steps.add("DELETE", (await target.wire.request("DELETE", url)).status_code, OK)
    return steps.verdict


def _path(value: str) -> bytes:
    return (value if value.startswith("/") else f"/{value}").encode()


@check(
    "C-05",
    on="whip",
    severity=COMPAT,
    tier=2,
    text="Eyevinn's WHIP client: plain OPTIONS, ETag for If-Match, component 0, DELETE without token.",
)
@imitation
async def eyevinn(target: Target) -> Result:
    """Without a key it sends the word undefined for one."""
    steps = Steps()
    asked = await target.wire.request("OPTIONS", target.url)
    steps.add("OPTIONS", asked.status_code, OK, NO_CONTENT)
    headers = {} if target.wire.token else {"Authorization": "Bearer undefined"}
    async with target.session(headers=headers) as session:
        steps.add("POST", session.reply.status_code, CREATED)
        body = fragment(session.offer, [HOST.replace("1 1 udp", "1 0 udp")]).replace(
            "9 UDP/TLS/RTP/SAVPF 111", "9 RTP/AVP 0"
        )
        tag = {"ETag": session.etag or ""}
        patched = await session.patch(body, if_match=None, headers=tag)
        letter = PRECONDITION_REQUIRED if target.strict and session.etag else NO_CONTENT
        steps.add("PATCH", patched.status_code, letter)
        ended = await session.delete(auth=False)
        steps.add("DELETE", ended.status_code, without_token(target, OK))
    return steps.verdict


@check(
    "C-06",
    on="whep",
    severity=COMPAT,
    tier=2,
    text="MediaMTX's reader.js: data channel, surround Opus and PCM, If-Match: *, PATCH and DELETE without token.",
)
@imitation
async def mediamtx(target: Target) -> Result:
    """It starts over after two seconds on any other status than these."""
    steps = Steps()
    asked = await target.wire.request("OPTIONS", target.url)
    steps.add("OPTIONS", asked.status_code, OK, NO_CONTENT)
    async with target.session(mediamtx_reader()) as session:
        steps.add("POST", session.reply.status_code, CREATED)
        patched = await session.patch(fragment(session.offer), if_match="*", auth=False)
        steps.add("PATCH", patched.status_code, without_token(target, NO_CONTENT))
        ended = await session.delete(auth=False)
        steps.add("DELETE", ended.status_code, without_token(target, OK))
    return steps.verdict


@check(
    "C-07",
    on="both",
    severity=COMPAT,
    tier=3,
    text="Meetecho's clients: exact type and first line of the answer, If-Match on PATCH and on DELETE.",
)
@imitation
async def meetecho(target: Target) -> Result:
    """They compare the answer's first bytes, CRLF included."""
    steps = Steps()
    async with target.session() as session:
        steps.add("POST", session.reply.status_code, CREATED)
        if session.reply.headers.get("content-type") != SDP or not session.reply.content.startswith(b"v=0\r\n"):
            return broken(f"{session.reply.headers.get('content-type')}, {session.reply.content[:8]!r}")
        patched = await session.patch(fragment(session.offer))
        steps.add("PATCH", patched.status_code, OK, NO_CONTENT)
        tag = {"If-Match": session.etag} if session.etag else {}
        steps.add("DELETE", (await session.delete(headers=tag)).status_code, OK)
    return steps.verdict


@check(
    "C-09",
    on="whip",
    severity=COMPAT,
    tier=2,
    clauses=("I-EP-03",),
    text="The example offer of RFC 9725: a bundle-only section with port 0 and no transport lines.",
)
async def rfc_example(target: Target) -> Result:
    """Legal by RFC 9143 and RFC 9429; both sections are to be accepted."""
    reply = await target.post(rfc_9725_example().text)
    accepted = [section.kind for section in answer_of(reply).media]
    observed = f"{reply.status_code}, {' and '.join(accepted) or 'nothing'} accepted"
    return passed(observed) if reply.status_code == CREATED and len(accepted) == 2 else broken(observed)


@check(
    "C-10",
    on="whep",
    severity=COMPAT,
    tier=3,
    text="Safari: H264 42e01f and 640c1f, VP8, neither VP9 nor AV1: answered with H264 or VP8.",
)
async def safari_player(target: Target) -> Result:
    """Safari lists no 42001f."""
    reply = await target.post(safari().text)
    codecs = [
        name
        for section in answer_of(reply).media
        if section.kind == "video"
        for name in section.by_format("rtpmap").values()
        if name.lower() in ("h264/90000", "vp8/90000")
    ]
    return passed(codecs[0]) if codecs else broken(f"{reply.status_code}, no H264 or VP8")


@check(
    "C-12",
    on="whep",
    severity=INFO,
    tier=3,
    text="An empty POST: refused, or answered by an offer as in murillo-01 (Cloudflare).",
)
async def empty_post(target: Target) -> Result:
    """Eyevinn's player falls back to it after a 400. A server error fails."""
    reply = await target.post(b"")
    if reply.is_server_error:
        return broken(f"{reply.status_code}", MUST)
    if reply.is_success and media_type(reply) == SDP and reply.content:
        return noted(f"{reply.status_code} with an offer: murillo-01")
    return noted(f"{reply.status_code}")


CHECKS: Final[tuple[Check, ...]] = (obs, eyevinn, mediamtx, meetecho, rfc_example, safari_player, empty_post)
