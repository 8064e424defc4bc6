"""A black-box conformance tool for WHIP and WHEP: run against any server, it imports nothing of ours.

Read in this order: ``check`` (what a check is), ``target`` (what a check may do to a server), ``checks/`` (the checks,
a module a group; ``catalogue`` is their sum), ``runner`` (how they are run), ``mock/`` (a server that is right, and how
it is made wrong). Live checks have an ICE, DTLS and SRTP peer of their own in ``agent/``.
"""

import typing

__version__: typing.Final = "1.0.0"
TEXTS: typing.Final = "RFC 9725; draft-ietf-wish-whep-04, 22 June 2026"
"""What is checked against. WHEP differs from revision to revision on the contested points, so results carry this."""
ProtocolName = typing.Literal["whip", "whep"]
"""Which of the two a server is asked in: media goes to it (WHIP) or comes from it (WHEP)."""
