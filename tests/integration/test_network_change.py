"""A player whose network address changes while it plays: the same session goes on by an ICE restart."""

import sys

import pytest

from tests.clients.namespace import Namespace, neighbour

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

GAP_S = 3.0
"""What the documentation promises, from the last picture on the old address to the first on the new one."""


def test_a_player_that_moves_to_another_network_goes_on(isolated: Namespace):
    with neighbour(isolated) as host:
        script = [sys.executable, "-m", "tests.clients.moving_viewer", isolated.base, host.device, *host.addresses]
        report = host.run_json(script, 180)
    assert report["errors"] == []
    assert report["gap_s"] <= GAP_S
    assert report["offers"] == report["connections"] == 1  # the session it had
