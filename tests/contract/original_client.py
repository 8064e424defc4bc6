"""What a client of the original server does: make a session, upload speech, listen, delete."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.clients.waiting import POLL_S
from tests.contract.event_wire import Listener, listening

SSE: Final = "/sessions"
WEBRTC: Final = "/webrtc/sessions"

Query = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Target:
    """The server that is judged."""

    base: str
    avatar: str
    """One that is prepared there."""
    ours: bool
    patience_s: float
    """How long speech of a few seconds may take."""


async def asked_until(
    ask: Callable[[], Awaitable[httpx.Response]], done: Callable[[httpx.Response], bool], patience_s: float
) -> httpx.Response:
    """The first answer that will do. Errors: TimeoutError."""
    async with asyncio.timeout(patience_s):
        answer = await ask()
        while not done(answer):
            await asyncio.sleep(POLL_S)
            answer = await ask()
    return answer


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the target."""

    http: httpx.AsyncClient
    target: Target

    async def create(self, family: str = SSE, **query: str | float) -> dict[str, Any]:
        """A session."""
        made = await self.http.post(f"{family}/create", params={"avatar_id": self.target.avatar, **query})
        assert made.status_code == 200, made.text
        body: dict[str, Any] = made.json()
        return body

    @asynccontextmanager
    async def session(self, family: str = SSE, **query: str | float) -> AsyncIterator[str]:
        """The id of a session that is deleted when the block is left."""
        session_id = str((await self.create(family, **query))["session_id"])
        try:
            yield session_id
        finally:
            await self.http.delete(f"{family}/{session_id}")

    async def upload(
        self,
        path: str,
        content: bytes,
        *,
        query: Query | None = None,
        form: Mapping[str, str] | None = None,
        filename: str = "speech.wav",
    ) -> httpx.Response:
        """Post speech as the original wants it."""
        files = {"audio_file": (filename, content, "audio/wav")}
        return await self.http.post(path, params=query, data=form, files=files)

    async def speak(self, session_id: str, content: bytes, family: str = SSE) -> str:
        """Have a session speak; the request's id."""
        answer = await self.upload(f"{family}/{session_id}/stream", content)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["request_id"])

    async def until_free(self, session_id: str) -> None:
        """Wait until a session of chunks has no utterance in the making."""
        await asked_until(
            lambda: self.http.get(f"{SSE}/{session_id}/status"),
            lambda answer: answer.json()["active_stream"] is None,
            self.target.patience_s,
        )

    @asynccontextmanager
    async def listening(self, session_id: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Listener]:
        """Listen to a session."""
        async with listening(self.http, f"{SSE}/{session_id}/events", self.target.patience_s, headers) as listener:
            yield listener

    async def utterance(self, session_id: str, content: bytes) -> tuple[str, Listener]:
        """Listen, have it speak, and hear it to its end: the request's id and the listener with all that came."""
        async with self.listening(session_id) as listener:
            request_id = await self.speak(session_id, content)
            await listener.until_closed()
        return request_id, listener
