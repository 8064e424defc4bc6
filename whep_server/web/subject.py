"""What a request is about: for every line of the log that is written while it is answered, or by tasks it begins."""

from collections.abc import Mapping
from contextlib import suppress

from whep_server.errors import NotOnAir
from whep_server.live.programme import key_of
from whep_server.log import shown_id
from whep_server.web.on_air import Registry


def subject(path_params: Mapping[str, object], live: Registry) -> dict[str, str]:
    """The stream and the session in its path, by what the log calls them: names and ids may be secrets."""
    fields: dict[str, str] = {}
    name = path_params.get("stream") or path_params.get("session_id")  # of the original server's routes
    with suppress(NotOnAir):
        fields["stream"] = key_of(str(name), listed=live.stream(str(name)).listed)
    if session := path_params.get("session"):
        fields["session"] = shown_id(str(session))
    return fields
