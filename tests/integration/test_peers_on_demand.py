"""Peers that take a newer Debian than the tests do. On demand: `docs/clients.md` says how to make the folder."""

import pytest

from tests.clients.meetecho_publisher import FORKY, meetecho_publish
from tests.clients.namespace import Namespace
from tests.clients.peer_table import python
from tests.clients.publish_witness import SPOKEN_S

pytestmark = [
    pytest.mark.on_demand,
    pytest.mark.skipif(not FORKY, reason="on demand: set FORKY to a folder that tests/peers/forky.sh has made"),
    pytest.mark.timeout(400),
]


def test_meetechos_client_makes_the_face_speak(isolated: Namespace):
    command = meetecho_publish(str(FORKY), f"{isolated.base}/whip/demo", SPOKEN_S)
    seen = isolated.run_json(python("publish_witness", isolated.base, *command), 120)
    assert seen["heard"] >= 0.5, seen
    assert seen["states"][-2:] == ["speaking", "idle"]
