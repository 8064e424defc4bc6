"""Fixtures shared by all tests: a registry on a worker that only pretends."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.fakes import SIZE, FakeOpener
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

ALONE = {
    "test_bad_network",
    "test_browser",
    "test_lips",
    "test_live_mutants",
    "test_live_pages",
    "test_many_streams",
    "test_musetalk_plays",
    "test_network_change",
    "test_overload",
    "test_poses_on_air",
    "test_prepare_avatar",
    "test_preparing_on_air",
    "test_publish_lips",
    "test_session_lips",
    "test_slow_viewer",
    "test_switches",
    "test_undisturbed",
    "test_viewer",
}
"""Where pictures are held against the clock, or the machine itself is measured: other tests beside these would show."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, for ``make test`` runs the others side by side."""
    for item in items:
        if item.path.stem in ALONE:
            item.add_marker(pytest.mark.alone)


OpenOnAir = Callable[..., AbstractAsyncContextManager[tuple[Registry, FakeOpener]]]


@asynccontextmanager
async def open_on_air(
    opener: FakeOpener | None = None, **changes: object
) -> AsyncIterator[tuple[Registry, FakeOpener]]:
    """A registry with its fake worker, and the stream ``demo`` going on air; ``changes`` are settings."""
    opener = opener or FakeOpener()
    settings = Settings(**{"width": SIZE[0], "height": SIZE[1], "udp_port": 0, **changes})  # type: ignore[arg-type]
    async with open_registry(settings, opener) as registry:
        yield registry, opener


@pytest.fixture
def on_air() -> OpenOnAir:
    """``async with on_air(fps=30) as (registry, opener): ...``."""
    return open_on_air
