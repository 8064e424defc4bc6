"""A session speaks live: one request at a time, which lasts until its last sound has been heard."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Final

from whep_server.compat.lifetimes import CompatSession
from whep_server.compat.office import Office
from whep_server.web.on_air import Event

GOING_ON: Final = frozenset({"queued", "started"})
"""States of an utterance that is not over."""


async def speak_live(office: Office, session: CompatSession, request_id: str, pieces: AsyncIterator[bytes]) -> None:
    """Have a session say what ``pieces`` hold; returns when it is understood.

    Errors: Busy while it speaks, from the beginning of the upload on; those of ``Stream.speak``.
    """
    with ExitStack() as held:
        session.claim(request_id)
        held.callback(session.release, request_id)
        events = held.enter_context(session.stream.listen())
        utterance = await session.stream.speak(pieces)
        office.group.create_task(_until_heard(held.pop_all(), events, utterance.id), name="compat-speech")


async def _until_heard(held: ExitStack, events: AsyncIterator[Event], utterance: str) -> None:
    """Hold the session until the utterance is over, or the stream is off the air."""
    with held:
        async for event in events:
            if event.kind == "speech" and event.data["utterance"] == utterance and event.data["state"] not in GOING_ON:
                return
