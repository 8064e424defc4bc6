"""Lips against truth on what a viewer decodes: sentences with known phoneme times, voices never trained on."""

import pytest

from tests.clients.event_log import listening, speak
from tests.clients.lip_reading import read_lips
from tests.clients.picture_steps import Aligned, Reference
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server
from tests.clients.speech_files import VOICES, sentence

pytestmark = pytest.mark.timeout(400)  # the first test waits for the idle loop to be encoded


@pytest.mark.parametrize("voice", VOICES)
async def test_lips_follow_the_phonemes_and_the_sound(server: Server, voice: str):
    spoken = sentence(voice)
    async with listening(server.base) as events, watching(server.whep()) as viewer:
        await events.wait_idle(30)
        await viewer.wait_pictures(10)
        utterance = await speak(server.base, spoken.wav)
        await events.wait(60, "speech", state="finished", utterance=utterance)
        await events.wait_idle(10)
        await viewer.wait_pictures(10)
    reading = read_lips(Aligned(Reference(), viewer.pictures), viewer, spoken)
    assert reading.correlation >= 0.8, reading
    assert reading.closed >= 0.85, reading
    assert abs(reading.offset_s) <= 0.040, reading
