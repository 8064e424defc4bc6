"""Avatars in the worker's memory: each is loaded once, for all streams that show it, and kept while there is room.

What a stream shows is borrowed, and stays. Of the rest so many stay as ``most_bytes`` has room for beside it, the ones
that were asked for last. So the room is exceeded only where avatars on air take more, which is logged, and for the
moment in which a further one has come and another must go.
"""

import dataclasses
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol
from weakref import WeakValueDictionary

import numpy as np

from avatar.memory_messages import AvatarsHeld, HeldAvatar
from avatar.prepared import PreparedAvatar

log = logging.getLogger(__name__)

MIB: Final = 1024 * 1024
MOST_BYTES: Final = 1024 * MIB
"""Three of 10 s at 1280x720."""

Key = tuple[str, tuple[int, int]]


class Source(Protocol):
    """Where they are loaded from: ``avatar.library.Library``."""

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """An avatar's pictures. Slow. Errors: AvatarInvalid."""
        ...


@dataclasses.dataclass(slots=True)
class _Held:
    avatar: PreparedAvatar
    bytes: int
    streams: int = 0


class AvatarMemory:
    """See the module. Any thread; only who has to wait for an avatar waits."""

    def __init__(
        self, source: Source, most_bytes: int = MOST_BYTES, tell: Callable[[AvatarsHeld], None] = lambda _: None
    ) -> None:
        self._source, self._most_bytes, self._tell = source, most_bytes, tell
        self._kept: dict[Key, _Held] = {}
        """What is found by who asks, the one asked for last at the end."""
        self._shown: dict[int, _Held] = {}
        """What streams show, by identity: also what is not kept any more, as it was replaced."""
        self._alive: WeakValueDictionary[Key, PreparedAvatar] = WeakValueDictionary()
        """What had to go, and somebody still has at hand."""
        self._hits = self._evictions = 0
        self._loads: Counter[Key] = Counter()
        self._full = False
        self._disk, self._books = threading.Lock(), threading.Lock()
        """Held for as long as a load takes; held for no time, and never waited for with the first one asked for."""

    def get(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """An avatar, for a while. Slow where it is not in memory. Errors: AvatarInvalid."""
        return self._ask((name, size), 0)

    def borrow(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """As ``get``; it stays until it is given back, once for each time. Errors: AvatarInvalid."""
        return self._ask((name, size), 1)

    def give_back(self, avatar: PreparedAvatar) -> None:
        """A stream shows it no more."""
        with self._books:
            held = self._shown[id(avatar)]
            held.streams -= 1
            if not held.streams:
                del self._shown[id(avatar)]
            self._changed()

    def forget(self, name: str, then: Callable[[], None] = lambda: None) -> bool:
        """Have ``name`` loaded anew when it is next asked for, and ``then`` happen before; whether it was in memory.

        Streams that show it keep what they have. Errors: those of ``then``.
        """
        with self._disk:
            then()
            with self._books:
                keys = [key for key in [*self._kept, *self._alive] if key[0] == name]
                for key in keys:
                    self._kept.pop(key, None)
                    self._alive.pop(key, None)
                self._changed()
        return bool(keys)

    def _ask(self, key: Key, streams: int) -> PreparedAvatar:
        """For so many streams more."""
        with self._books:
            found = self._find(key, streams, hits=streams)
        if found:
            return found
        with self._disk:
            with self._books:
                found = self._find(key, streams, hits=0)  # who waited for the disk before may have loaded it
            if found:
                return found
            avatar = self._source.load(*key)
            with self._books:
                self._loads[key] += 1
                self._keep(key, _Held(avatar, bytes_of(avatar)), streams)
        return avatar

    def _find(self, key: Key, streams: int, *, hits: int) -> PreparedAvatar | None:
        held, avatar = self._kept.pop(key, None), self._alive.get(key)
        if held is None and avatar is not None:
            held = self._shown.get(id(avatar)) or _Held(avatar, bytes_of(avatar))
        if held is None:
            return None
        self._hits += hits
        self._keep(key, held, streams)
        return held.avatar

    def _keep(self, key: Key, held: _Held, streams: int) -> None:
        self._kept[key], self._alive[key] = held, held.avatar
        held.streams += streams
        if held.streams:
            self._shown[id(held.avatar)] = held
        self._changed()

    def _changed(self) -> None:
        """Make room, and say what is there."""
        free = [key for key, held in self._kept.items() if not held.streams]
        while free and self._taken() > self._most_bytes:
            key = free.pop(0)
            log.info("avatar %s: taken out of memory, for others", key[0])
            del self._kept[key]
            self._evictions += 1
        taken = self._taken()
        if taken > self._most_bytes and not self._full:
            most = self._most_bytes // MIB
            log.warning("avatars on air take %d MiB of memory, more than the %d that they may", taken // MIB, most)
        self._full = taken > self._most_bytes
        held = [self._told(each) for each in self._all()]
        self._tell(AvatarsHeld(held, self._hits, self._loads.total(), self._evictions))

    def _told(self, held: _Held) -> HeldAvatar:
        name, size = held.avatar.name, held.avatar.size
        return HeldAvatar(name, *size, held.bytes, held.streams, self._loads[name, size])

    def _all(self) -> list[_Held]:
        """Each once, what is not kept first."""
        kept = {id(held): held for held in self._kept.values()}
        return [*(held for held in self._shown.values() if id(held) not in kept), *kept.values()]

    def _taken(self) -> int:
        return sum(held.bytes for held in self._all())


def bytes_of(part: object) -> int:
    """What the arrays in it take: in its fields, and in theirs."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, list | tuple):
        return sum(map(bytes_of, part))
    if isinstance(part, dict):
        return sum(map(bytes_of, part.values()))
    if dataclasses.is_dataclass(part):
        return sum(bytes_of(getattr(part, field.name)) for field in dataclasses.fields(part))
    return 0
