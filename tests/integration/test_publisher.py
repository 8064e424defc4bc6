"""A publisher's session with real WebRTC and a pretended worker: one voice a stream, and who has the floor when."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from avatar.messages import AbandonSpeech, CloseLive, Interrupt, LivePacket, OpenLive
from tests.aiortc_player import eventually, player
from tests.fakes import speech
from whep_server.errors import AlreadyPublishing, NoSuchSession, NotAcceptable, Unavailable
from whep_server.live.publisher import REOPEN_S
from whep_server.live.session import Session
from whep_server.live.stream import Stream, StreamState
from whep_server.metrics.facts import Cause
from whep_server.settings import BargeIn


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def demo_of(registry) -> Stream:
    await eventually(lambda: registry.ready)
    return registry.stream("demo")


@dataclass
class Publishing:
    """A publisher's end."""

    connection: RTCPeerConnection
    session: Session | None = None

    async def publish(self, stream: Stream, *, interrupts: BargeIn | None = None) -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        self.session = await stream.open_publisher(self.connection.localDescription.sdp, interrupts=interrupts)
        await self.connection.setRemoteDescription(RTCSessionDescription(self.session.answer, "answer"))


@asynccontextmanager
async def publisher(video: bool = False) -> AsyncIterator[Publishing]:
    """A publisher of aiortc's own silence, and of its own green pictures where ``video``."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for track in (AudioStreamTrack(), *([VideoStreamTrack()] if video else [])):
        connection.addTransceiver(track, direction="sendonly")
    try:
        yield Publishing(connection)
    finally:
        await connection.close()


def told(opener, kind: type) -> list:
    return [message for message in opener.worker.sent if isinstance(message, kind)]


@pytest.mark.parametrize("video", [False, True])
async def test_a_publishers_packets_reach_the_worker_and_the_stream_speaks(on_air, video):
    async with on_air() as (registry, opener), publisher(video) as said:
        stream = await demo_of(registry)
        with stream.listen() as events:
            await said.publish(stream)
            await eventually(lambda: len(opener.worker.heard) > 20)
            await eventually(lambda: stream.state is StreamState.SPEAKING)
            (opened,) = told(opener, OpenLive)
            heard = opener.worker.heard[:20]
            assert {packet.utterance for packet in heard} == {opened.utterance}
            numbers = [packet.sequence for packet in heard]
            assert numbers == list(range(numbers[0], numbers[0] + 20))
            assert [packet.rtp_time - heard[0].rtp_time for packet in heard] == [960 * at for at in range(20)]
            assert stream.publisher
            await said.connection.close()  # no DELETE: DTLS says goodbye
            await eventually(lambda: not stream.publisher)
            assert told(opener, CloseLive)[0].utterance == opened.utterance
            await eventually(lambda: stream.state is StreamState.IDLE)
        kinds = [(event.kind, event.data.get("publisher", event.data.get("state"))) async for event in drained(events)]
        assert [entry for entry in kinds if entry[0] in ("publisher", "speech")] == [
            ("publisher", False),
            ("publisher", True),
            ("speech", "queued"),
            ("speech", "started"),
            ("publisher", False),
            ("speech", "finished"),
        ]


async def drained(events) -> AsyncIterator:
    events.close()
    async for event in events:
        yield event


async def test_the_answer_receives_and_asks_for_little_video(on_air):
    async with on_air() as (registry, _), publisher(video=True) as said:
        await said.publish(await demo_of(registry))
        answer = said.session.answer
        audio, video = answer.split("m=")[1:]
        assert re.match(r"audio [1-9]", audio) and re.match(r"video [1-9]", video)
        for section in (audio, video):
            for line in ("a=recvonly", "a=rtcp-mux", "a=rtcp-mux-only", "a=setup:passive", "a=end-of-candidates"):
                assert section.count(f"{line}\r\n") == 1
            assert "a=candidate:" in section and "a=ice-ufrag:" in section
        assert "b=AS:" in video and "b=AS:" not in audio
        assert re.search(r"a=group:BUNDLE 0 1\r\n", answer)
        await eventually(lambda: said.connection.connectionState == "connected")


async def test_a_stream_has_one_publisher_at_a_time(on_air):
    async with on_air() as (registry, _), publisher() as first, publisher() as second:
        stream = await demo_of(registry)
        await first.publish(stream)
        with pytest.raises(AlreadyPublishing) as refused:
            await second.publish(stream)
        assert int(refused.value.headers["Retry-After"]) >= 1
        await stream.publisher_session(first.session.id).close()
        with pytest.raises(NoSuchSession):
            stream.publisher_session(first.session.id)
    async with on_air() as (registry, _), publisher() as third:
        await third.publish(await demo_of(registry))


async def test_uploads_are_refused_while_somebody_publishes(on_air):
    async with on_air() as (registry, _), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream)
        with pytest.raises(AlreadyPublishing):
            await stream.speak(once(speech(10)))
        await stream.publisher_session(said.session.id).close()
        assert (await stream.speak(once(speech(10)))).id


async def test_speech_that_was_accepted_before_is_spoken_to_its_end_first(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        with stream.listen() as events:
            earlier = await stream.speak(once(speech(25)))
            await said.publish(stream)
            await eventually(lambda: bool(told(opener, OpenLive)))
            await eventually(lambda: stream.queued == 0 and stream.state is StreamState.SPEAKING)
            live = told(opener, OpenLive)[0].utterance
            states: list[tuple[object, object]] = []
            async with asyncio.timeout(20):
                async for event in events:
                    if event.kind == "speech":
                        states.append((event.data["utterance"], event.data["state"]))
                    if states[-1:] == [(live, "started")]:
                        break
        assert states.index((earlier.id, "finished")) < states.index((live, "started"))


async def test_a_publisher_that_goes_before_its_turn_is_not_heard(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await stream.speak(once(speech(100)))
        await eventually(lambda: stream.state is StreamState.SPEAKING)
        await said.publish(stream)
        await eventually(lambda: stream.queued == 1)
        live = told(opener, OpenLive)[0].utterance
        with stream.listen() as events:
            await stream.publisher_session(said.session.id).close()
            failed = [event.data async for event in drained(events) if event.kind == "speech"]
        assert [(data["utterance"], data["state"]) for data in failed] == [(live, "failed")]
        assert told(opener, AbandonSpeech)[-1].utterance == live and not told(opener, CloseLive)


async def test_a_publisher_speaks_again_after_the_worker_was_lost(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 5)
        opener.worker.die()
        await eventually(lambda: stream.state is StreamState.IDLE, 5 + REOPEN_S)
        opener.worker.heard.clear()
        opener.worker.start()
        await eventually(lambda: len(opener.worker.heard) > 5, 10 + REOPEN_S)
        first, second = told(opener, OpenLive)
        assert first.utterance != second.utterance == opener.worker.heard[-1].utterance
        assert said.connection.connectionState == "connected"


async def test_nobody_can_publish_while_the_worker_starts(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        opener.worker.die()
        with pytest.raises(Unavailable):
            await said.publish(stream)
        assert not stream.publisher


async def test_who_only_listens_cannot_publish(on_air):
    async with on_air() as (registry, opener), player() as watching:
        stream = await demo_of(registry)
        await watching.connection.setLocalDescription(await watching.connection.createOffer())
        with pytest.raises(NotAcceptable):
            await stream.open_publisher(watching.connection.localDescription.sdp)
        assert not stream.publisher and not told(opener, OpenLive)


async def test_who_hangs_up_before_its_delete_is_not_told_off_for_it(on_air):
    """OBS."""
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 5)
        await said.connection.close()
        await eventually(lambda: not stream.publisher)
        await stream.end_publisher(said.session.id)
        with pytest.raises(NoSuchSession):
            await stream.end_publisher(said.session.id)


async def test_a_publisher_that_never_connects_is_given_up(on_air):
    async with on_air(join_timeout_s=0.3) as (registry, _), publisher() as said:
        stream = await demo_of(registry)
        await said.connection.setLocalDescription(await said.connection.createOffer())
        await stream.open_publisher(said.connection.localDescription.sdp)
        assert stream.publisher
        await eventually(lambda: not stream.publisher)


async def test_taking_the_stream_off_the_air_ends_the_publisher(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        await said.publish(await demo_of(registry))
        await eventually(lambda: len(opener.worker.heard) > 5)
        await registry.take_off_air("demo")
        await eventually(lambda: said.connection.connectionState == "closed")


async def test_a_viewer_sees_the_publisher_speak(on_air):
    async with on_air() as (registry, opener), player() as watching, publisher() as said:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        await said.publish(stream)
        await watching.until(lambda: any(seen.live for seen in watching.pictures))
        assert isinstance(opener.worker.heard[0], LivePacket)
        await said.connection.close()
        await watching.until(lambda: not watching.pictures[-1].live)


# --- a voice that interrupts


@pytest.mark.parametrize("configured", [False, True])
async def test_a_voice_that_may_interrupt_stops_what_is_spoken_and_speaks(on_air, configured):
    changes = {"whip_interrupts": BargeIn.SPEECH} if configured else {}
    async with on_air(**changes) as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        with stream.listen() as events:
            spoken, waiting = [await stream.speak(once(speech(frames))) for frames in (500, 100)]
            await eventually(lambda: stream.stats().last_utterance.started_s is not None)
            await said.publish(stream, interrupts=None if configured else BargeIn.SPEECH)
            await eventually(lambda: len(opener.worker.heard) > 5)
            with pytest.raises(AlreadyPublishing):
                await stream.speak(once(speech(10)))
            (opened,) = told(opener, OpenLive)
            assert opened.barges_in and not opened.listens
            opener.worker.hear_voice()
            states: list[tuple[object, object]] = []
            async with asyncio.timeout(10):
                async for event in events:
                    if event.kind == "speech":
                        states.append((event.data["utterance"], event.data["state"]))
                    if states[-1:] == [(opened.utterance, "started")]:
                        break
        assert states[-3:] == [
            (waiting.id, "cancelled"),
            (spoken.id, "interrupted"),
            (opened.utterance, "started"),
        ]
        assert registry.ledger.interruptions == {Cause.VOICE: 1} and stream.interruptions == 1
        assert len(told(opener, OpenLive)) == 1, "its utterance goes on"


async def test_a_voice_that_is_only_listened_to_stops_speech_whenever_it_begins(on_air):
    async with on_air() as (registry, opener), publisher() as said, publisher() as other:
        stream = await demo_of(registry)
        await said.publish(stream, interrupts=BargeIn.LISTEN)
        await eventually(lambda: len(opener.worker.heard) > 5)
        assert stream.publisher and told(opener, OpenLive)[0].listens
        with pytest.raises(AlreadyPublishing):
            await other.publish(stream)
        for count in (1, 2):
            await stream.speak(once(speech(500)))
            await eventually(lambda: stream._talk.queue.speaking is not None)
            await eventually(lambda: stream.stats().last_utterance.started_s is not None)
            opener.worker.hear_voice()
            await eventually(lambda ended=count: stream.stats().utterances == {"interrupted": ended})
            assert len(told(opener, Interrupt)) == count
        opener.worker.hear_voice()  # nobody speaks: nothing to stop
        await stream.end_publisher(said.session.id)
        assert [message.utterance for message in told(opener, CloseLive)] == [told(opener, OpenLive)[0].utterance]
        assert stream.stats().utterances == {"interrupted": 2}, "it never spoke itself"


async def test_who_listens_goes_on_listening_after_the_worker_was_lost(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream, interrupts=BargeIn.LISTEN)
        await eventually(lambda: len(opener.worker.heard) > 5)
        opener.worker.die()
        opener.worker.heard.clear()
        opener.worker.start()
        await eventually(lambda: len(opener.worker.heard) > 5, 10 + REOPEN_S)
        first, second = told(opener, OpenLive)
        assert first.utterance != second.utterance == opener.worker.heard[-1].utterance and second.listens


async def test_who_is_interrupted_and_goes_on_speaking_is_heard_again(on_air):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 20 and stream.state is StreamState.SPEAKING)
        (first,) = told(opener, OpenLive)
        did = await stream.interrupt()
        assert first.utterance in (did.utterance, *did.dropped)
        await eventually(lambda: len(told(opener, OpenLive)) == 2, 5 + REOPEN_S)
