"""The store of files made of speech: whole or not there, kept for a while, never too many."""

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from tests.clients.waiting import until
from whep_server.compat.chunks import FILE_NAME, ChunkStore, chunk_name

HOUR_S = 3600.0


def store_at(root: Path, most_bytes: int = 1000, active: set[str] | None = None) -> ChunkStore:
    return ChunkStore(root / "chunks", kept_s=HOUR_S, most_bytes=most_bytes, active=active or set())


def age(store: ChunkStore, request_id: str, by_s: float) -> None:
    then = time.time() - by_s
    os.utime(store.path(request_id, "x").parent, (then, then))


def there(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root / "chunks")) for path in (root / "chunks").rglob("*") if path.is_file())


async def test_files_of_a_request_are_in_its_folder(tmp_path):
    store = store_at(tmp_path)
    for index in (0, 1):
        await store.put("r", chunk_name(index), b"%d" % index)
    assert there(tmp_path) == ["r/chunk_0000.mp4", "r/chunk_0001.mp4"]
    assert store.path("r", "chunk_0001.mp4").read_bytes() == b"1"


async def test_a_file_in_pieces_is_there_when_it_is_finished(tmp_path):
    store = store_at(tmp_path)
    for piece in (b"one ", b"two"):
        await store.append("r", "film.mp4", piece)
        assert not store.path("r", "film.mp4").exists()
    await store.finish("r", "film.mp4")
    assert there(tmp_path) == ["r/film.mp4"]
    assert store.path("r", "film.mp4").read_bytes() == b"one two"


@pytest.mark.parametrize("name", [chunk_name(0), chunk_name(9999), chunk_name(10_000)])
def test_names_of_chunks_are_known_as_such(name):
    assert FILE_NAME.fullmatch(name)


async def test_what_is_old_goes_and_what_is_being_made_stays(tmp_path):
    store = store_at(tmp_path, active={"active"})
    for name in ("old", "young", "active"):
        await store.put(name, "a", b"x")
    age(store, "old", HOUR_S + 1)
    age(store, "active", HOUR_S + 1)
    age(store, "young", HOUR_S - 10)
    await store.sweep()
    assert there(tmp_path) == ["active/a", "young/a"]


async def test_the_oldest_make_room(tmp_path):
    store = store_at(tmp_path, most_bytes=100)
    for number, name in enumerate(("first", "second", "third")):
        await store.put(name, "a", bytes(30))
        age(store, name, 100 - number)
    await store.put("fourth", "a", bytes(30))
    assert there(tmp_path) == ["fourth/a", "second/a", "third/a"]


async def test_what_was_there_before_counts(tmp_path):
    await store_at(tmp_path).put("before", "a", bytes(80))
    store = store_at(tmp_path, most_bytes=100)
    await store.sweep()
    await store.put("r", "a", bytes(30))
    assert there(tmp_path) == ["r/a"]


async def test_room_is_refused_where_nothing_may_go(tmp_path):
    store = store_at(tmp_path, most_bytes=100, active={"r"})
    await store.put("r", "a", bytes(100))
    for adding in (store.put, store.append):
        with pytest.raises(OSError, match="No space left") as refused:
            await adding("r", "b", b"x")
        assert refused.value.errno == errno.ENOSPC
    assert there(tmp_path) == ["r/a"]


async def test_the_sweeper_begins_at_once_and_outlives_trouble(tmp_path, caplog):
    store = store_at(tmp_path)
    await store.put("old", "a", b"x")
    age(store, "old", HOUR_S + 1)
    task = asyncio.get_running_loop().create_task(store.run())
    await until(lambda: there(tmp_path) == [], 5, "the old folder is gone")
    task.cancel()

    class Broken(ChunkStore):
        async def sweep(self, room_for: int = 0) -> None:
            raise OSError("the disk is gone")

    task = asyncio.get_running_loop().create_task(Broken(tmp_path, kept_s=1, most_bytes=1, active=()).run())
    await until(lambda: "the disk is gone" in caplog.text, 5, "it is logged")
    assert not task.done()
    task.cancel()
