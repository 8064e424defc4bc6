"""What the end-to-end tests share: one real server on loopback, and one in a network of its own."""

from collections.abc import Iterator

import pytest

from tests.clients.namespace import Namespace, network_namespace, server_inside
from tests.clients.server_process import START_S, Server, running_server
from tests.clients.waiting import until_now


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with its worker and ``demo`` on air in both codecs."""
    with running_server() as running:
        until_now(lambda: {"H264", "VP8"} <= set(running.codecs()), START_S, "idle loop in both codecs")
        yield running


@pytest.fixture(scope="session")
def isolated(server: Server) -> Iterator[Namespace]:
    """A namespace with a server in it; ``server`` comes first because it has filled the cache of idle loops."""
    with network_namespace() as space, server_inside(space):
        yield space
