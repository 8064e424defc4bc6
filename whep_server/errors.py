"""Errors that know their answer. The class fixes the HTTP status; the detail says what happened, for the caller.

    ServerError                     500
    ├── MalformedSdp                400   not SDP, or SDP without what every session needs
    │   └── MalformedFragment       400   not a trickle ICE fragment
    ├── BadRequest                  400
    │   ├── UploadBroken            400   the sender went away in the middle; nobody reads this answer
    │   └── TooSlow                 408   a body that stopped coming
    ├── Unauthorized                401   no token, or a wrong one; with WWW-Authenticate
    ├── Forbidden                   403   a good token that does not allow this; with WWW-Authenticate
    ├── NotOnAir                    404   no stream of that name
    ├── NoSuchSession               404
    ├── NoSuchAvatar                404
    ├── NoSuchFile                  404
    ├── NoSuchPreparation           404   no avatar is being made under that id, or that was long ago
    ├── AlreadyOnAir                409
    ├── AlreadyPublishing           409   a publisher has the stream; with Retry-After
    ├── Conflict                    409   what cannot be done in the state that things are in
    │   ├── AlreadySpeaking         409   somebody streams speech into the stream
    │   └── Interrupted             409   speech was interrupted before this utterance could be spoken
    ├── AvatarKept                  409   an avatar that may not be replaced or deleted: shipped, or on air
    ├── PreconditionFailed          412
    ├── TooLarge                    413
    ├── UnsupportedType             415
    ├── RangeUnsatisfiable          416   part of a file of which there is nothing; with Content-Range
    ├── UpgradeRequired             426   a plain request for what is a WebSocket; with Upgrade
    ├── NotAcceptable               422   valid SDP that we cannot serve: no common codec, wrong direction
    ├── NotSpeech                   422   an upload that cannot be spoken
    ├── NotAvatarVideo              422   a video that no avatar can be made from
    ├── NoSuchPose                  422   a word that is no pose
    ├── PreconditionMissing         428   a PATCH without If-Match, in strict mode
    ├── TooMany                     429   with Retry-After
    ├── NoSpeechSynthesis           501   text, and nothing here that reads it aloud
    ├── SynthesisFailed             502   what reads text aloud answered, but not with sound
    └── Unavailable                 503   with Retry-After
        ├── TooManySpeak            503   as many streams speak as can
        ├── WorkerLost              503
        └── BeingEnded              503   the server was told to end, and takes nothing new

No other file writes a status of 4xx or 5xx (compat routes translate these).
"""

from collections.abc import Mapping


class ServerError(Exception):
    """Root. Raise the exact subclass; ``web/problems.py`` turns it into an RFC 9457 body."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})


class BadRequest(ServerError):
    """The request itself cannot be understood."""

    status, title = 400, "Bad request"


class UploadBroken(BadRequest):
    """The connection ended before the body did."""

    title = "Upload broken off"


class MalformedSdp(ServerError):
    """Not SDP, or SDP that lacks what every session needs (RFC 8866, RFC 8842)."""

    status, title = 400, "Malformed SDP"


class MalformedFragment(MalformedSdp):
    """Not a trickle ICE fragment (RFC 8840 section 9)."""

    status, title = 400, "Malformed trickle ICE fragment"


class Unauthorized(ServerError):
    """No token, or not the right one (RFC 9110 section 15.5.2, RFC 6750 section 3).  [I-EP-26] [E-EP-22]"""

    status, title = 401, "Unauthorized"

    def __init__(self, detail: str, *, wrong: bool = False, scope: str = "") -> None:
        """``wrong``: a token was given, and is not the right one. ``scope``: what one would have to allow."""
        super().__init__(detail, headers=_challenge("invalid_token" if wrong else "", detail, scope))


class Forbidden(ServerError):
    """A good token that does not allow this, or not on this stream (RFC 6750 section 3.1)."""

    status, title = 403, "Forbidden"

    def __init__(self, detail: str, *, scope: str = "") -> None:
        """``scope``: what the token would have to allow."""
        super().__init__(detail, headers=_challenge("insufficient_scope", detail, scope) if scope else {})


def _challenge(error: str, detail: str, scope: str) -> dict[str, str]:
    """``WWW-Authenticate``: nothing but the realm and the scope where no token was given."""
    said = {"error": error, "error_description": detail if error else "", "scope": scope}
    parts = ['Bearer realm="whep-avatar"', *(f'{name}="{value}"' for name, value in said.items() if value)]
    return {"WWW-Authenticate": ", ".join(parts)}


class NotOnAir(ServerError):
    """No stream of that name."""

    status, title = 404, "Not on air"


class NoSuchSession(ServerError):
    """No session with that id: never made, deleted, or lost."""

    status, title = 404, "No such session"


class NoSuchAvatar(ServerError):
    """No prepared avatar of that name."""

    status, title = 404, "No such avatar"


class NoSuchPreparation(ServerError):
    """No avatar is, or was a while ago, prepared under that id."""

    status, title = 404, "No such preparation"


class NoSuchFile(ServerError):
    """No file of that name is served."""

    status, title = 404, "No such file"


class TooSlow(BadRequest):
    """A body that stopped coming."""

    status, title = 408, "Request timed out"


class AlreadyOnAir(ServerError):
    """A stream of that name exists."""

    status, title = 409, "Already on air"


class AlreadyPublishing(ServerError):
    """Somebody publishes to the stream: it has one voice at a time."""

    status, title = 409, "Already publishing"

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class Conflict(ServerError):
    """What cannot be done in the state that things are in (RFC 9110 section 15.5.10)."""

    status, title = 409, "Conflict"


class AlreadySpeaking(Conflict):
    """Somebody else streams speech into the stream and has not finished: it has one voice at a time."""

    title = "Already speaking"


class Interrupted(Conflict):
    """Speech was interrupted before this utterance could be spoken."""

    title = "Interrupted"


class AvatarKept(ServerError):
    """An avatar that may not be replaced or deleted now: it is shipped, or on air."""

    status, title = 409, "Avatar kept"


class PreconditionMissing(ServerError):
    """A PATCH must say which ICE session it means (RFC 6585 section 3); asked for in strict mode."""

    status, title = 428, "If-Match required"


class PreconditionFailed(ServerError):
    """``If-Match`` names another ICE session."""

    status, title = 412, "Precondition failed"


class TooLarge(ServerError):
    """The body, or what it holds, is above a limit."""

    status, title = 413, "Too large"


class UnsupportedType(ServerError):
    """The Content-Type is not one this resource takes."""

    status, title = 415, "Unsupported media type"


class RangeUnsatisfiable(ServerError):
    """The part of a file that is asked for lies behind its end (RFC 9110 section 15.5.17)."""

    status, title = 416, "Range not satisfiable"

    def __init__(self, detail: str, *, size: int = 0) -> None:
        """``size`` is the file's, in bytes."""
        super().__init__(detail, headers={"Content-Range": f"bytes */{size}"})


class NotAcceptable(ServerError):
    """Valid SDP that cannot be served. Not 406: in WHEP that announces a counter-offer."""

    status, title = 422, "Offer cannot be served"


class UpgradeRequired(ServerError):
    """A plain request for what is a WebSocket (RFC 9110 section 15.5.22)."""

    status, title = 426, "Upgrade required"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


class NotSpeech(ServerError):
    """An upload that cannot be spoken."""

    status, title = 422, "Not speech"


class NotAvatarVideo(ServerError):
    """A video that no avatar can be made from: the detail says why."""

    status, title = 422, "Not an avatar's video"


class NoSuchPose(ServerError):
    """A word that is no pose of any avatar."""

    status, title = 422, "No such pose"


class TooMany(ServerError):
    """A limit on how much one may ask for."""

    status, title = 429, "Too many"

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class NoSpeechSynthesis(ServerError):
    """Text is to be spoken, and whoever runs the server has set up nothing that reads it aloud."""

    status, title = 501, "No speech synthesis"


class SynthesisFailed(ServerError):
    """What reads text aloud answered, but not with sound."""

    status, title = 502, "Speech synthesis failed"


class Unavailable(ServerError):
    """Cannot be done now, may be later."""

    status, title = 503, "Unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class TooManySpeak(Unavailable):
    """As many streams speak as may at one time; the detail names the limit."""

    title = "Too many speak"


class WorkerLost(Unavailable):
    """The process that makes speech ended; it is being restarted."""

    title = "Worker lost"


class BeingEnded(Unavailable):
    """The server was told to end: it finishes what it has accepted, and takes nothing new."""

    title = "Being ended"

    def __init__(self, detail: str, *, retry_after_s: int = 5) -> None:
        """By then another server may be there; who ends this one knows, and it does not."""
        super().__init__(detail, retry_after_s=retry_after_s)
