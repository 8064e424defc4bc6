"""What schemathesis is told of our API that no schema says: bodies that are no JSON, and names of what is there.

``schema_run.py`` has it loaded, and says by ``LIVE`` what is there.
"""

import json
import os
import zlib
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st

from tests.audio_files import tone, wav
from tests.strategies import fragments, offers

LIVE: Final = "SCHEMA_RUN_LIVE"
"""The variable that holds it: by a part of a path, what stands for which parameter there."""
ENDLESS: Final = "/events"
"""What is read there by GET ends never where there is something: it is asked for under other names only."""
TONE: Final = wav(tone(0.2, rate=16_000), 16_000)

BODIES: Final = {
    "application/sdp": offers().map(lambda offer: offer.encode("utf-8", "surrogateescape")),
    "application/trickle-ice-sdpfrag": fragments(),
    "application/octet-stream": st.binary(max_size=2000) | st.just(TONE),
    "audio/*": st.sampled_from([TONE, TONE[:100], b"RIFF", b"ID3\x04", b"OggS" + bytes(50)]) | st.binary(max_size=500),
    "audio/L16": st.binary(max_size=3000),
    "audio/pcm": st.binary(max_size=3000),
    "video/mp4": st.binary(max_size=500),
}
for _kind, _bodies in BODIES.items():
    schemathesis.openapi.media_type(_kind, _bodies)


@schemathesis.serializer(*BODIES)
def _as_it_is(_: object, value: object) -> bytes:
    """A body that is made of bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Names of what is there, in every other request; the name that was made says whether."""
    operation = context.operation
    if operation is None or not path_parameters or operation.method.upper() == "DELETE":
        return path_parameters  # what is deleted would be missing for the rest of the run
    if operation.path.endswith(ENDLESS) or "{events}" in operation.path:
        return path_parameters
    live: dict[str, dict[str, str]] = json.loads(os.environ.get(LIVE, "{}"))
    names = next((found for start, found in live.items() if operation.path.startswith(start)), {})
    return {
        name: names[name] if name in names and zlib.crc32(repr(value).encode()) % 2 else value
        for name, value in path_parameters.items()
    }


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Nothing that has no end, nor ends what is there: schemathesis remembers names that earlier answers told it."""
    method = case.method.upper()
    lasting = method == "DELETE" or (method == "GET" and case.operation.path.endswith(ENDLESS))
    return not lasting or not _known(case.path_parameters)


def _known(parameters: Any) -> bool:
    live = os.environ.get(LIVE, "{}")
    return any(json.dumps(value) in live for value in (parameters or {}).values())
