"""A real worker process is interrupted in mid-sentence: what a viewer hears and sees, decoded behind the fence."""

from pathlib import Path

import numpy as np
import pytest

from avatar.client import COMMAND, open_worker
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    Advance,
    Codec,
    Interrupt,
    Interrupted,
    SpeechFinished,
    SpeechStarted,
    VideoFormat,
    WentIdle,
    WorkerConfig,
)
from tests.audio_files import loudest_hz, tone, wav
from tests.clients.picture_steps import Reference, window
from tests.worker_show import LIMITS, ROOT, Seen, Show, heard, run, seen_pictures, show

FRAME = AUDIO_HZ // 25


@pytest.mark.parametrize("made", [True, False])
def test_a_tone_falls_silent_and_the_next_one_is_heard_after_a_breath(tmp_path: Path, made: bool):
    """Interrupted at 1 s, when it was granted up to 1.2 s, and was made, or is yet to be."""

    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(3.0, 440)), "first")
            await stage.accepted(wav(tone(3.0, 500)), "waits")
            await stage.go_live(0)
            await stage.grant(20)
            if made:
                await stage.grant(10)
            else:
                stage.client.send(Advance("a", 30, 20))
            answer = await stage.interrupt(AUDIO_HZ)
            assert (answer.utterance, answer.samples, answer.dropped) == ("first", AUDIO_HZ + 720, ["waits"])
            stage.client.send(Interrupt("nobody", 7, 960))
            await stage.accepted(wav(tone(0.5, 1500)), "next")
            await stage.play_out()
            assert stage.seen.of(Interrupted, "nobody") == [Interrupted("nobody", 7, None, 960, 0, [])]
            assert stage.seen.marks() == [("started", "first"), ("started", "next"), ("finished", "next")]
            check(stage.seen)

    def check(seen: Seen) -> None:
        (idle,) = seen.of(WentIdle)
        pictures, packets = seen.units(Codec.H264), seen.units(Codec.OPUS)
        assert [unit.media_time for unit in packets] == list(range(0, idle.frame * FRAME, OPUS_SAMPLES))
        assert [unit.media_time for unit in pictures] == [frame * 3600 for frame in range(idle.frame)]
        assert pictures[25].keyframe and all(unit.epoch == 1 for unit in pictures[25:])
        begins = seen.of(SpeechStarted)[1].media_time
        assert begins == AUDIO_HZ + 11 * OPUS_SAMPLES
        sound = heard(packets)
        assert loudest_hz(sound[2400 : AUDIO_HZ - 2400], AUDIO_HZ) == pytest.approx(440, abs=2)
        assert np.abs(sound[AUDIO_HZ + 720 + 1500 : begins]).max() < 0.003
        assert loudest_hz(sound[begins + 2400 : begins + 20_000], AUDIO_HZ) == pytest.approx(1500, abs=4)
        assert np.abs(np.diff(sound[AUDIO_HZ - 960 : AUDIO_HZ + 2880])).max() < 0.03, "no click"
        mouths = [int(picture[64, 64]) for picture in seen_pictures(pictures)]
        assert min(mouths[10:25]) > 40 and mouths[25:29] == sorted(mouths[25:29], reverse=True)
        assert max(mouths[29:30]) < 20 < min(mouths[36:42]), "shut, and open for the next one"

    run(scenario())


@pytest.mark.alone  # in company it may be late, and leaves pictures out
def test_the_shipped_avatar_shuts_its_mouth_when_it_is_interrupted(tmp_path: Path):
    cut_frame = 53

    async def scenario() -> None:
        seen, assets = Seen(), ROOT / "assets"
        config = WorkerConfig(str(assets), str(assets / "avatars"), str(tmp_path))
        async with open_worker(config, LIMITS, seen, command=COMMAND) as client:
            stage = Show(client, seen)
            await stage.open(avatar="nova", shape=VideoFormat(512, 512, 25, 800_000))
            await stage.accepted((ROOT / "tests" / "data" / "sentence-flite.wav").read_bytes())
            await stage.go_live(0)
            for _ in range(14):
                await stage.grant(4)
            answer = await stage.interrupt(cut_frame * FRAME)
            assert answer.samples == cut_frame * FRAME + 720
            await stage.play_out(portion=4)
            assert not seen.of(SpeechFinished)
            check(seen)

    def check(seen: Seen) -> None:
        (idle,) = seen.of(WentIdle)
        units, packets = seen.units(Codec.H264), seen.units(Codec.OPUS)
        assert len(units) == idle.frame and len(packets) == 2 * idle.frame
        assert idle.frame <= cut_frame + 10, "shut within 160 ms, and on to the grid"
        sound = heard(packets)
        assert np.abs(sound[: cut_frame * FRAME]).max() > 0.1
        assert np.abs(sound[cut_frame * FRAME + 720 + 1500 :]).max() < 0.003
        reference = Reference("nova", (512, 512))
        off = [away(reference, picture, frame) for frame, picture in enumerate(seen_pictures(units))]
        coding = np.mean(off[:1] + off[-1:])
        assert off[-1] < 1.5 and max(off[cut_frame - 20 : cut_frame]) > 3 * coding, "open before, shut at the end"
        fresh = seen_pictures(units[cut_frame:])
        assert len(fresh) == idle.frame - cut_frame, "decodable from the cut on alone"
        assert away(reference, fresh[-1], idle.frame - 1) < 1.5

    run(scenario())


def away(reference: Reference, picture: np.ndarray, frame: int) -> float:
    """How far the mouth's box is from the idle picture; what coding leaves, where the mouth is shut."""
    difference = np.abs(picture[:512].astype(np.int16) - reference.luma(frame))
    return float(difference[window(reference.box(frame % len(reference)))].mean())
