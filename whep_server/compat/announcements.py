"""What a session's listeners are told of its requests to speak: chunks, then ``complete`` or ``error``. Pure.

Each listener gets all of one request and is then sent away, as the original's clients have it; they come back for the
next. Who says what it got last gets exactly what it missed. Who says nothing gets the oldest request whose end nobody
has received, from its first chunk: what was told while nobody listened waits, as it did in the original's queue.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

KEPT: Final = 8
"""Requests remembered; with more unheard the oldest is forgotten."""
_ID: Final = re.compile(r"([A-Za-z0-9_.-]{1,200}):([0-9]{1,9})")


def encode(message: Mapping[str, object], event_id: str = "") -> bytes:
    """A message of the original, unnamed; the id is ours: browsers send it back, other clients pass over it."""
    return (b"id: %s\n" % event_id.encode() if event_id else b"") + b"data: %s\n\n" % msgspec.json.encode(message)


def error_message(detail: str) -> dict[str, object]:
    """Nothing more comes of a request."""
    return {"event": "error", "message": detail}


STOPPED: Final = error_message("the server is being stopped")


@dataclass(slots=True, eq=False)
class Account:
    """What is told of one request. Made by ``Announcements``."""

    request_id: str
    serial: int
    begun_s: float
    changed: Callable[[], None]
    events: list[bytes] = field(default_factory=list)
    over: bool = False
    """Whether its last event is there."""
    heard: bool = False
    """Whether somebody has received that."""

    def tell(self, message: Mapping[str, object]) -> None:
        """One more event."""
        self.events.append(encode(message, f"{self.request_id}:{len(self.events)}"))
        self.changed()

    def end(self, message: Mapping[str, object]) -> None:
        """The last event."""
        self.over = True
        self.tell(message)


class Announcements:
    """All that is told in one session."""

    def __init__(self) -> None:
        self._accounts: deque[Account] = deque(maxlen=KEPT)
        self._serial = 0
        self._change = asyncio.Event()
        self.closed = False
        """Whether no further request will be told of."""

    def begin(self, request_id: str, now_s: float) -> Account:
        """The account of a new request; who begins it ends it, whatever happens."""
        self._serial += 1
        account = Account(request_id, self._serial, now_s, self._wake)
        self._accounts.append(account)
        return account

    def forget(self, before_s: float) -> None:
        """Tell no more of requests that were begun so long ago: their files are gone."""
        for account in [each for each in self._accounts if each.over and each.begun_s < before_s]:
            self._accounts.remove(account)

    def close(self) -> None:
        """The session is over: listeners are sent away, in the middle of a request when that ends."""
        self.closed = True
        self._wake()

    def listen(self, last_event_id: str | None = None) -> "Listener":
        """For one listener, who may say what it got last."""
        found = _ID.fullmatch(last_event_id or "")
        for account in self._accounts if found else ():
            if found and account.request_id == found[1]:
                following = int(found[2]) + 1
                if not account.over or following < len(account.events):
                    return Listener(self, account.serial, account, min(following, len(account.events)))
                return Listener(self, account.serial)
        unheard = (each.serial - 1 for each in self._accounts if not each.heard)
        return Listener(self, next(unheard, self._serial))

    def after(self, serial: int) -> Account | None:
        """The first request after that one."""
        return next((each for each in self._accounts if each.serial > serial), None)

    async def change(self) -> None:
        """Until more is told, or nothing more will be."""
        await self._change.wait()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class Listener:
    """The events of one request as bytes, the past ones at once; ends with them, or with the session."""

    def __init__(self, told: Announcements, after: int, account: Account | None = None, position: int = 0) -> None:
        self._told = told
        self._after = after
        self._account = account
        self._position = position

    def last_words(self) -> bytes:
        """What is sent where the server ends: an error in the middle of a request, else nothing."""
        account = self._account
        heard = account is None or (account.over and self._position == len(account.events))
        return b"" if heard else encode(STOPPED)

    def __aiter__(self) -> "Listener":
        return self

    async def __anext__(self) -> bytes:
        while True:
            account = self._account = self._account or self._told.after(self._after)
            if account is None and self._told.closed:
                raise StopAsyncIteration
            if account is not None and self._position < len(account.events):
                self._position += 1
                return account.events[self._position - 1]
            if account is not None and account.over:
                account.heard = True  # what was given out last has been sent by now
                raise StopAsyncIteration
            await self._told.change()
