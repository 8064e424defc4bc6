"""Players that are not ours play the stream: npm's WHEP libraries in browsers, and WebRTC stacks of their own.

GStreamer, Firefox and Chromium on our own page, and aiortc, have tests of their own beside this one.
"""

import sys
from subprocess import run as run_now

import httpx
import pytest

from tests.clients.namespace import READY_PROBE, Namespace
from tests.clients.peer_table import PLAYERS, Player
from tests.clients.peers import Report, node, run
from tests.clients.server_process import Server
from tests.clients.waiting import until, until_now

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

WANTED = 25
"""Pictures, and packets or buffers of sound."""
PLAY_S = 60.0
GONE_S = 10.0
CONNECTIONS = 40

ON_LOOPBACK = [player for player in PLAYERS if not player.isolated]
ISOLATED = [player for player in PLAYERS if player.isolated]


def name_of(player: Player) -> str:
    return f"{player.name} {player.codec}"


def check(player: Player, report: Report) -> None:
    """It received enough of both, in the codec it is expected to get, and took its leave as it does."""
    assert report["video"] >= WANTED
    assert report["audio"] >= WANTED
    assert report.get("lost", 0) == 0
    assert report.get("errors", []) == []
    assert report.get("codec", player.codec).removeprefix("video/") == player.codec
    assert report["deleted"] in player.deleted


@pytest.mark.parametrize("player", ON_LOOPBACK, ids=name_of)
async def test_a_foreign_player_plays_and_its_session_ends(server: Server, player: Player):
    report = await run(player.command(server.whep(), str(WANTED)), PLAY_S)
    check(player, report)
    # without a DELETE, too: the server sees the connection close
    await until(lambda: httpx.get(report["location"], trust_env=False).status_code == 404, GONE_S, "session gone")


@pytest.mark.parametrize("player", ISOLATED, ids=name_of)
def test_a_foreign_player_in_a_network_of_its_own_plays_and_its_session_ends(isolated: Namespace, player: Player):
    report = isolated.run_json(player.command(f"{isolated.base}/whep/demo", str(WANTED)), PLAY_S)
    check(player, report)
    ask = isolated.argv(sys.executable, str(READY_PROBE), f"{isolated.base}/streams/demo", '"viewers":0')
    until_now(lambda: run_now(ask, check=False, timeout=20).returncode == 0, GONE_S, "nobody watching")


async def test_libdatachannel_connects_forty_times_of_forty(server: Server):
    """OBS's stack picks one of the answer's fingerprints at random; more than the sha-256 one fails it now and then."""
    command = node("libdatachannel_player.mjs", server.whep(), "H264", "1", "20", str(CONNECTIONS))
    sessions = (await run(command, 2 * PLAY_S))["sessions"]
    assert [session["failure"] for session in sessions] == [None] * CONNECTIONS
    assert {session["deleted"] for session in sessions} == {200}
    assert min(session["audio"] for session in sessions) >= 1
