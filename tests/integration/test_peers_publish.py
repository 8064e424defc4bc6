"""Publishers that are not ours make the face speak: FFmpeg, GStreamer, libdatachannel, aiortc, browsers' libraries."""

from pathlib import Path

import pytest

from tests.clients.namespace import Namespace
from tests.clients.peer_table import PUBLISHERS, Publisher, python
from tests.clients.publish_witness import SPOKEN_S, witness
from tests.clients.publishable import write_media
from tests.clients.server_process import Server
from tests.clients.speech_files import sentence

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded

WITNESS_S = 120.0
HEARD = 0.5
"""The part of the sentence's quarter seconds; another sentence has less than a tenth in common with it. FFmpeg reads on
while it connects and then sends in a burst, of which the server cuts some; browsers on a busy machine leave gaps."""

ON_LOOPBACK = [publisher for publisher in PUBLISHERS if not publisher.isolated]
ISOLATED = [publisher for publisher in PUBLISHERS if publisher.isolated]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of a sentence as a WAV file; encoded, for those who encode nothing, in a JSON file beside it."""
    wav = tmp_path_factory.mktemp("speech") / "sentence.wav"
    wav.write_bytes(sentence(longest_s=SPOKEN_S).wav)
    write_media(wav, wav.with_suffix(".json"))
    return wav


def command_of(publisher: Publisher, base: str, speech: Path) -> list[str]:
    """How it is started."""
    return publisher.command(f"{base}/whip/demo", speech.with_suffix(".json") if publisher.encoded else speech)


def check(publisher: Publisher, seen: dict) -> None:
    """The face spoke while it published, its sound arrived, and nothing of it is left."""
    assert seen["heard"] >= HEARD, seen
    assert seen["states"][-2:] == ["speaking", "idle"]
    assert seen["report"].get("errors", []) == []
    assert seen["report"].get("deleted") in publisher.deleted
    assert seen["gone"] in (404, None)  # None: the client does not tell where its session was
    assert (seen["gone"] is None) == (seen["report"].get("location") is None)


@pytest.mark.parametrize("publisher", ON_LOOPBACK, ids=lambda publisher: publisher.name)
async def test_a_foreign_publisher_makes_the_face_speak(server: Server, speech: Path, publisher: Publisher):
    check(publisher, await witness(server.base, command_of(publisher, server.base, speech)))


@pytest.mark.parametrize("publisher", ISOLATED, ids=lambda publisher: publisher.name)
def test_a_foreign_publisher_in_a_network_of_its_own_makes_the_face_speak(
    isolated: Namespace, speech: Path, publisher: Publisher
):
    command = python("publish_witness", isolated.base, *command_of(publisher, isolated.base, speech))
    check(publisher, isolated.run_json(command, WITNESS_S))
