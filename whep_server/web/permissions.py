"""Which token each route needs: the one table. A route that is not in it cannot be served (``web/auth.py``).

``HEAD`` is as ``GET``; ``OPTIONS`` is for everybody, since browsers send no token with a preflight (Fetch standard).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from litestar.routes import BaseRoute, HTTPRoute, WebSocketRoute

from whep_server.signaling.tokens import Scope

WEBSOCKET: Final = "WEBSOCKET"
"""In the place of a method."""


class Reach(Enum):
    """Which streams a token must be for."""

    ONE = "the stream that the path names"
    ANY = "any"
    LATER = "the one that the handler finds out, which then asks the door"
    ALL = "all"


class Limit(Enum):
    """Which of an address's paces counts (``web/pace.py``)."""

    OFFERS = "offers"
    CHANGES = "changes of sessions"
    REQUESTS = "all others that tokens guard; so wrong tokens are tried no faster"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route needs."""

    scope: Scope | None
    """None: nothing, it is for everybody."""
    reach: Reach = Reach.ANY
    stream: str = ""
    """The path's parameter that names the stream."""
    capability: bool = False
    """The path itself is the permission: no token is needed, though a wrong one is refused."""
    limit: Limit = Limit.REQUESTS
    in_url: bool = False
    """Whether the token may be in the query: clients of this know nothing but an address."""


EVERYBODY: Final = Rule(None)


def _of(scope: Scope, stream: str = "stream", limit: Limit = Limit.REQUESTS) -> Rule:
    """For the stream that the path names."""
    return Rule(scope, Reach.ONE, stream, limit=limit)


def _any(scope: Scope) -> Rule:
    return Rule(scope)


def _later(scope: Scope) -> Rule:
    return Rule(scope, Reach.LATER)


def _all(scope: Scope) -> Rule:
    return Rule(scope, Reach.ALL)


def _exchange(protocol: str, scope: Scope) -> dict[str, Rule]:
    """WHEP's or WHIP's. An endpoint may be given as an address with a token in it (RFC 9725 section 4.7.1)."""
    endpoint, session = f"/{protocol}/{{stream}}", f"/{protocol}/{{stream}}/{{session}}"
    offer = Rule(scope, Reach.ONE, "stream", limit=Limit.OFFERS, in_url=True)
    change = Rule(scope, Reach.ONE, "stream", capability=True, limit=Limit.CHANGES)
    return {
        f"POST {endpoint}": offer,
        f"GET {endpoint}": EVERYBODY,
        f"PATCH {session}": change,
        f"DELETE {session}": change,
        f"GET {session}": Rule(scope, Reach.ONE, "stream", capability=True),
    }


_EVENTS: Final = "/whep/{stream}/{session}/events"
_HELD: Final = Rule(Scope.WATCH, Reach.ONE, "stream", capability=True)
_SESSION: Final = "session_id"

RULES: Final[Mapping[str, Rule]] = {
    **_exchange("whep", Scope.WATCH),
    **_exchange("whip", Scope.PUBLISH),
    f"POST {_EVENTS}": _HELD,
    f"GET {_EVENTS}": _HELD,
    f"GET {_EVENTS}/{{events}}": _HELD,
    f"DELETE {_EVENTS}/{{events}}": _HELD,
    # streams
    "GET /streams": EVERYBODY,
    "POST /streams": _later(Scope.CREATE),  # the stream's name is in the body
    "GET /streams/{stream}": EVERYBODY,
    "DELETE /streams/{stream}": _of(Scope.CREATE),
    "POST /streams/{stream}/speech": _of(Scope.SPEAK),
    "POST /streams/{stream}/pcm": _of(Scope.SPEAK),
    "GET /streams/{stream}/pcm": _of(Scope.SPEAK),
    f"{WEBSOCKET} /streams/{{stream}}/pcm": _of(Scope.SPEAK),
    "POST /streams/{stream}/interrupt": _of(Scope.SPEAK),
    "POST /streams/{stream}/pose": _of(Scope.SPEAK),
    "GET /streams/{stream}/events": _of(Scope.WATCH),
    # pages, which ask for a token themselves, and operations
    "GET /": EVERYBODY,
    "GET /avatars": EVERYBODY,
    "GET /assets/{name}": EVERYBODY,
    "GET /docs": EVERYBODY,
    "GET /openapi.json": EVERYBODY,
    "GET /player/{name}": EVERYBODY,
    "GET /publish/{stream}": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": _all(Scope.ADMIN),
    # the original server's: a session of its is a stream
    "GET /ui": EVERYBODY,
    "GET /health": EVERYBODY,
    "GET /capabilities": EVERYBODY,
    "GET /stats": _all(Scope.ADMIN),
    "GET /stats/cache": _all(Scope.ADMIN),
    "GET /stats/gpu-live": _all(Scope.ADMIN),
    "GET /avatars/list": EVERYBODY,
    "GET /avatars/{avatar_id}/idle-poses": EVERYBODY,
    "GET /avatars/{avatar_id}/video": _any(Scope.WATCH),
    "GET /avatars/{avatar_id}/preview.jpg": _any(Scope.WATCH),
    "GET /avatars/{avatar_id}/quality": _any(Scope.WATCH),
    "GET /avatars/{avatar_id}/cache/status": _any(Scope.WATCH),
    "POST /avatars/{avatar_id}/cache/warm": _all(Scope.ADMIN),
    "POST /avatars/prepare": _all(Scope.ADMIN),
    "GET /avatars/preparations": _all(Scope.ADMIN),
    "GET /avatars/preparations/{job}": _all(Scope.ADMIN),
    "DELETE /avatars/preparations/{job}": _all(Scope.ADMIN),
    "DELETE /avatars/{avatar_id}": _all(Scope.ADMIN),
    "POST /sessions/create": _all(Scope.CREATE),  # the server gives it its name
    "GET /sessions/stats": _all(Scope.ADMIN),
    "GET /sessions/live": _all(Scope.ADMIN),
    "POST /sessions/{session_id}/stream": _of(Scope.SPEAK, _SESSION),
    "GET /sessions/{session_id}/events": _of(Scope.WATCH, _SESSION),
    "GET /sessions/{session_id}/status": _of(Scope.WATCH, _SESSION),
    "DELETE /sessions/{session_id}": _of(Scope.CREATE, _SESSION),
    "GET /player/session/{session_id}": EVERYBODY,
    "GET /chunks/{request_id}/{name}": _later(Scope.WATCH),  # they are of a session, if of any
    "POST /generate": _all(Scope.SPEAK),
    "POST /generate/stream": _all(Scope.SPEAK),
    "GET /generate/{job_id}/status": _all(Scope.SPEAK),
    "GET /generate/{job_id}/download": _all(Scope.SPEAK),
    "POST /webrtc/sessions/create": _all(Scope.CREATE),
    "GET /webrtc/sessions/stats": _all(Scope.ADMIN),
    "POST /webrtc/sessions/{session_id}/offer": _of(Scope.WATCH, _SESSION, Limit.OFFERS),
    "POST /webrtc/sessions/{session_id}/ice": _of(Scope.WATCH, _SESSION, Limit.CHANGES),
    "POST /webrtc/sessions/{session_id}/stream": _of(Scope.SPEAK, _SESSION),
    "GET /webrtc/sessions/{session_id}/status": _of(Scope.WATCH, _SESSION),
    "DELETE /webrtc/sessions/{session_id}": _of(Scope.CREATE, _SESSION),
    "GET /webrtc/player/{session_id}": EVERYBODY,
}
"""Method and path, as the API's description has them."""


def rule_of(method: str, path: str) -> Rule:
    """The rule of a route. Errors: KeyError where it has none."""
    return EVERYBODY if method == "OPTIONS" else RULES[f"{'GET' if method == 'HEAD' else method} {path}"]


def served(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Each method and path of an application that a rule is needed for."""
    for route in routes:
        if isinstance(route, HTTPRoute):
            methods = {str(method) for handler in route.route_handlers for method in handler.http_methods}
            yield from (f"{method} {route.path_format}" for method in methods - {"OPTIONS", "HEAD"})
        elif isinstance(route, WebSocketRoute):
            yield f"{WEBSOCKET} {route.path_format}"
        else:
            yield f"{route.scope_type} {route.path_format}"


def check_table(routes: Iterable[BaseRoute]) -> None:
    """Errors: LookupError where the table and the routes are not the same: the application is not served then."""
    there = set(served(routes))
    if unruled := sorted(there - RULES.keys()):
        raise LookupError(f"routes without a rule: {', '.join(unruled)}")
    if stale := sorted(RULES.keys() - there):
        raise LookupError(f"rules without a route: {', '.join(stale)}")
