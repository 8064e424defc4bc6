"""A black-box conformance tool for WHIP and WHEP: run against any server, it imports nothing of ours.

Read in this order: ``check`` (what a check is), ``target`` (what a check may do to a server), ``checks/`` (the checks,
a module a group), ``runner`` (how they are run), ``mock/`` (a server that is right, and how it is made wrong).
"""

from typing import Final, Literal

__version__: Final = "1.0.0"
TEXTS: Final = "RFC 9725; draft-ietf-wish-whep-04, 22 June 2026"
"""What is checked against. WHEP differs from revision to revision on the contested points, so results carry this."""
ProtocolName = Literal["whip", "whep"]
"""Which of the two a server is asked in: media goes to it (WHIP) or comes from it (WHEP)."""
