"""Origins of web pages that an operator names, read. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
"""Of web pages, or of apps (``capacitor://localhost``)."""


def origins(given: Sequence[str]) -> list[str]:
    """As browsers write them (RFC 6454 section 6.2), or ``*`` for all; they are written into headers.

    Errors: ValueError, in words.
    """
    found = [origin.lower().removesuffix("/") for origin in given]
    if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError("must be origins, as https://example.org or http://localhost:3000, or *")
    if "*" in found and len(found) > 1:
        raise ValueError("* stands for all origins, and alone")
    return found
