"""The life of viewers' sessions: roles, refusals, time-outs, slow viewers, and that nothing is left behind."""

import asyncio
import gc
import re
from pathlib import Path

import pytest
from aiortc.sdp import candidate_to_sdp

from avatar.messages import Codec, ForceKeyframe, SetEncodings
from tests.aiortc_player import eventually, player
from tests.fakes import FakeOpener, idle_units, speech
from whep_server.errors import (
    AlreadyOnAir,
    BadRequest,
    MalformedFragment,
    NoSuchAvatar,
    NoSuchSession,
    NotAcceptable,
    NotOnAir,
    NotSpeech,
    TooLarge,
    TooMany,
    Unavailable,
)
from whep_server.live.packetize import level_idc_of
from whep_server.live.stream import StreamState
from whep_server.signaling.state import State


async def demo_of(registry):
    await eventually(lambda: registry.ready)
    return registry.stream("demo")


async def once(data: bytes):
    yield data


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
async def test_our_dtls_role_follows_the_offer(on_air, offered, answered):
    def with_role(offer: str) -> str:
        return re.sub(r"a=setup:\w+", f"a=setup:{offered}", offer)

    async with on_air() as (registry, _), player() as watching:
        for transceiver in watching.connection.getTransceivers():
            if offered == "passive":  # aiortc offers actpass and takes the role that the answer leaves it
                assert transceiver.receiver.transport.state == "new"
        await watching.watch(await demo_of(registry), with_role)
        assert set(re.findall(r"a=setup:(\w+)", watching.session.answer)) == {answered}
        await watching.until(lambda: len(watching.pictures) > 3)


async def test_the_answer_is_dressed(on_air):
    async with on_air() as (registry, _), player() as watching:
        await watching.watch(await demo_of(registry))
        answer = watching.session.answer
        assert len(answer) < 8000
        assert set(re.findall(r"a=fingerprint:(\S+)", answer)) == {"sha-256"}
        assert len(set(re.findall(r"a=msid:(\S+) ", answer))) == 1
        assert answer.count("a=rtcp-mux-only\r\n") == answer.count("a=sendonly\r\n") == answer.count("m=") == 2
        assert f"profile-level-id=42e0{level_idc_of(idle_units(Codec.H264, 25, 0)[0]):02x}" in answer
        assert set(re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+)", answer)) == {"127.0.0.1"}


async def test_a_player_that_trickles_connects(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)

        def without_candidates(offer: str) -> str:
            return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)

        await watching.watch(stream, without_candidates)
        gatherer = watching.connection.getTransceivers()[0].receiver.transport.transport.iceGatherer
        lines = [f"a=candidate:{candidate_to_sdp(each)}" for each in gatherer.getLocalCandidates()]
        await watching.session.patch("\n".join(["m=audio 9 RTP/AVP 0", "a=mid:0", *lines, "a=end-of-candidates", ""]))
        await watching.until(lambda: len(watching.pictures) > 3)
        with pytest.raises(MalformedFragment):
            await watching.session.patch("{}")
        assert stream.viewer_session(watching.session.id).state is State.CONNECTED


async def test_a_deleted_session_is_gone_at_both_ends(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        await stream.viewer_session(watching.session.id).close()
        assert stream.viewer_count == 0
        with pytest.raises(NoSuchSession):
            stream.viewer_session(watching.session.id)
        with pytest.raises(NoSuchSession):
            await watching.session.patch("a=end-of-candidates")
        await watching.until(lambda: watching.connection.connectionState == "closed")


async def test_a_viewer_that_never_comes_is_given_up(on_air):
    async with on_air(join_timeout_s=0.3) as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.connection.setLocalDescription(await watching.connection.createOffer())
        await stream.open_viewer(watching.connection.localDescription.sdp)
        assert stream.viewer_count == 1
        await eventually(lambda: stream.viewer_count == 0)


async def test_a_viewer_that_says_goodbye_is_gone(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        await watching.connection.close()
        await eventually(lambda: stream.viewer_count == 0)


@pytest.mark.parametrize("missing", ["VP8|H264", "opus"])
async def test_an_offer_without_our_codecs_is_refused(on_air, missing):
    def without(offer: str) -> str:
        return re.sub(rf"a=rtpmap:(\d+) ({missing})/", r"a=rtpmap:\1 other/", offer)

    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        with pytest.raises(NotAcceptable):
            await watching.watch(stream, without)
        assert stream.viewer_count == 0


async def test_a_lost_picture_in_mid_sentence_asks_the_encoder_once(on_air):
    async with on_air() as (registry, opener), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        await stream.speak(once(speech(frames=100)))
        await watching.until(lambda: any(seen.live for seen in watching.pictures))
        feed = stream._audience._viewers[watching.session.id].video
        for _ in range(3):
            await watching.ask_for_keyframe()
        await watching.until(lambda: feed.wants_keyframe)
        await watching.until(lambda: not feed.wants_keyframe)
        asked = [message for message in opener.worker.sent if isinstance(message, ForceKeyframe)]
        assert asked == [ForceKeyframe("demo", Codec.H264)]


async def test_a_vp8_viewer_is_answered_before_its_loop_is_there(on_air):
    opener = FakeOpener()
    opener.codecs_held = {Codec.VP8}
    async with on_air(opener) as (registry, _), player(codec="VP8") as watching:
        stream = await demo_of(registry)
        assert stream.codecs == [Codec.H264]
        await watching.watch(stream)
        await watching.until(lambda: watching.sounds > 10)
        assert not watching.pictures
        opener.worker.release(Codec.VP8, stream.format)
        await watching.until(lambda: len(watching.pictures) > 10)


async def test_the_worker_encodes_what_somebody_watches(on_air):
    async with on_air(join_timeout_s=1) as (registry, opener):
        stream = await demo_of(registry)
        async with player(codec="H264") as one, player(codec="VP8") as other:
            await one.watch(stream)
            await other.watch(stream)
        await eventually(lambda: stream.viewer_count == 0)
        told = [
            [each.codec for each in message.encodings]
            for message in opener.worker.sent
            if isinstance(message, SetEncodings)
        ]
        assert told[:3] == [[], [Codec.H264], [Codec.H264, Codec.VP8]]
        assert told[-1] == []


async def test_a_stream_speaks_with_nobody_watching(on_air):
    async with on_air() as (registry, _):
        stream = await demo_of(registry)
        with stream.listen() as events:
            utterance = await stream.speak(once(speech(frames=5)))
            async with asyncio.timeout(10):
                async for event in events:
                    if event.data.get("state") == "finished":
                        break
            assert event.data["utterance"] == utterance.id
            assert event.data["media_time_s"] > 0
        await eventually(lambda: stream.state is StreamState.IDLE)


async def test_uploads_that_cannot_be_spoken_say_why(on_air):
    async def stalling():
        yield b"SAY "
        await asyncio.Event().wait()

    async with on_air(max_upload_bytes=2048, upload_stall_s=0.1) as (registry, opener):
        stream = await demo_of(registry)
        with pytest.raises(NotSpeech):
            await stream.speak(once(b"not audio"))
        with pytest.raises(NotSpeech):
            await stream.speak(once(b""))
        with pytest.raises(TooLarge):
            await stream.speak(once(b"x" * 2049))
        with pytest.raises(BadRequest):
            await stream.speak(stalling())
        opener.worker.die()
        with pytest.raises(Unavailable):
            await stream.speak(once(speech(5)))
        assert stream.queued == 0


async def test_a_full_queue_refuses(on_air):
    async with on_air(max_queued_utterances=2) as (registry, opener):
        stream = await demo_of(registry)
        await stream.speak(once(speech(frames=1000)))
        await eventually(lambda: stream.queued == 0)
        assert (await stream.speak(once(speech(frames=5)))).queued == 1
        assert (await stream.speak(once(speech(frames=5)))).queued == 2
        with pytest.raises(TooMany):
            await stream.speak(once(speech(frames=5)))
        assert stream.queued == 2
        assert opener.worker.pid


async def test_viewers_of_all_streams_together_are_limited(on_air):
    async with on_air(max_viewers=2) as (registry, _), player() as one:
        demo = await demo_of(registry)
        other = await registry.put_on_air("other", "nova", demo.format)
        await one.connection.setLocalDescription(await one.connection.createOffer())
        offer = one.connection.localDescription.sdp
        first = await demo.open_viewer(offer)
        # the last place is taken while its answer is made, so that two who ask at once cannot both have it
        asked = await asyncio.gather(demo.open_viewer(offer), other.open_viewer(offer), return_exceptions=True)
        refused = [each for each in asked if isinstance(each, Unavailable)]
        assert len(refused) == 1 and "Retry-After" in refused[0].headers
        with pytest.raises(Unavailable):
            await demo.open_viewer(offer)
        assert demo.viewer_count + other.viewer_count == 2
        await first.close()
        await other.open_viewer(offer)
        assert demo.viewer_count + other.viewer_count == 2


async def test_streams_go_on_and_off_the_air(on_air):
    async with on_air(max_streams=2) as (registry, opener), player() as watching:
        demo = await demo_of(registry)
        with pytest.raises(AlreadyOnAir):
            await registry.put_on_air("demo", "nova", demo.format)
        for name in ("", "a/b", "..", "x" * 65, "é"):
            with pytest.raises(BadRequest):
                await registry.put_on_air(name, "nova", demo.format)
        with pytest.raises(NoSuchAvatar):
            await registry.put_on_air("other", "nobody", demo.format)
        other = await registry.put_on_air("other", "nova", demo.format)
        assert other.state is StreamState.IDLE  # it shares the demo's loops
        with pytest.raises(TooMany):
            await registry.put_on_air("third", "nova", demo.format)
        await watching.watch(other)
        await watching.until(lambda: len(watching.pictures) > 3)
        with other.listen() as events:
            await registry.take_off_air("other")
            async with asyncio.timeout(5):
                assert [event.kind async for event in events][:2] == ["state", "viewers"]
        with pytest.raises(NotOnAir):
            registry.stream("other")
        await watching.until(lambda: watching.connection.connectionState == "closed")
        assert registry.streams() == [demo]
        assert opener.worker.pid


async def test_viewers_come_and_go_and_leave_nothing_behind(on_air):
    async with on_air() as (registry, _):
        stream = await demo_of(registry)

        async def visit() -> None:
            async with player() as watching:
                await watching.watch(stream)
                await watching.until(lambda: len(watching.pictures) > 2)

        def held() -> tuple[int, int]:
            gc.collect()
            return len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))

        await visit()
        await eventually(lambda: stream.viewer_count == 0)
        await asyncio.sleep(0)
        tasks, files = held()
        for _ in range(5):
            await asyncio.gather(*(visit() for _ in range(4)))
        await eventually(lambda: stream.viewer_count == 0)
        await eventually(lambda: held()[0] <= tasks and held()[1] <= files)
