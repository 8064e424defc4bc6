"""What is measured agrees with what peers received, over real WebRTC, and failed ICE is told apart."""

import asyncio
import socket

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from avatar.messages import VideoFormat
from tests.aiortc_player import Player, eventually, player
from tests.fake_live import FakeRegistry
from tests.fakes import SIZE, speech
from tests.integration.http_server import serving
from tests.integration.joining import Answered, join, live_server, offer_of, plays, post, stun_agent, vanish
from tests.integration.test_publisher import demo_of, publisher
from whep_server.metrics.facts import IceFailure
from whep_server.rtc import ice, peer
from whep_server.settings import Settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(http: httpx.AsyncClient) -> Samples:
    """The page's samples by name without our prefix, and labels."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    found = [sample for family in parse_text(answer.text) for sample in family.samples]
    return {(each.name.removeprefix("whep_avatar_"), frozenset(each.labels.items())): each.value for each in found}


def at(samples: Samples, name: str, **labels: str) -> float:
    """One sample; 0 where there is none yet."""
    return samples.get((name, frozenset(labels.items())), 0.0)


async def until_scrape(http: httpx.AsyncClient, name: str, least: float, **labels: str) -> Samples:
    """The first page on which a sample is at least so large."""
    async with asyncio.timeout(20):
        while at(samples := await scrape(http), name, **labels) < least:  # noqa: ASYNC110  # a page tells nobody that it changed
            await asyncio.sleep(0.02)
    return samples


def pictures_received(watching: Player) -> int:
    return sum(packet.marker for packet in watching.packets["video"])


async def test_a_viewers_numbers_move_and_agree_with_what_it_received():
    async with live_server() as http, player(codec="H264") as watching:
        created = await join(http, watching)
        await plays(watching, 10)
        before = pictures_received(watching)
        samples = await scrape(http)
        h264, opus = {"kind": "viewer", "codec": "H264"}, {"kind": "viewer", "codec": "opus"}
        assert before <= at(samples, "frames_sent_total", **h264)
        assert at(samples, "sessions", kind="viewer", state="connected") == 1
        ways = {labels: count for (name, labels), count in samples.items() if name == "candidate_pairs"}
        assert [*ways.values()] == [1] and {("local", "host"), ("protocol", "udp")} < next(iter(ways))
        asked = at(samples, "keyframe_requests_total", **h264)
        await watching.ask_for_keyframe()
        await until_scrape(http, "keyframe_requests_total", asked + 1, **h264)
        samples = await until_scrape(http, "round_trip_seconds", 1e-9, of="worst")
        assert at(samples, "round_trip_seconds", of="median") <= at(samples, "round_trip_seconds", of="worst") < 20
        assert at(samples, "rtp_packets_lost_total", **h264) == 0

        assert (await http.delete(created.headers["location"])).status_code == 200
        await watching.until(lambda: watching.connection.connectionState == "closed")
        samples = await until_scrape(http, "sessions_ended_total", 1, kind="viewer", ending="deleted")
        for codec, kind in ((h264, "video"), (opus, "audio")):
            received = len(watching.packets[kind])
            sent = at(samples, "rtp_packets_sent_total", **codec)
            assert 0.9 * sent <= received <= sent, "some may come before its keys are ready"
        assert at(samples, "frames_sent_total", **h264) - pictures_received(watching) <= 10
        assert at(samples, "frames_sent_total", **opus) == at(samples, "rtp_packets_sent_total", **opus)
        assert at(samples, "rtp_sent_bytes_total", **h264) > at(samples, "rtp_packets_sent_total", **h264)
        assert ("sessions", frozenset({("kind", "viewer"), ("state", "connected")})) not in samples
        assert at(samples, "http_requests_total", route="/whep/{stream}/{session}", status="2xx") == 1
        assert at(samples, "event_loop_lag_seconds_count") > 20
        assert at(samples, "event_loop_tasks") > 1


async def test_an_utterance_is_counted_and_timed_step_by_step():
    async with live_server() as http, player(codec="VP8") as watching:
        await join(http, watching)
        await plays(watching, 3)
        assert (await http.post("/streams/demo/speech", content=speech(5))).status_code == 202
        assert (await http.post("/streams/demo/speech", content=b"junk")).status_code == 422
        samples = await until_scrape(http, "utterances_total", 1, way="spoken", state="finished")
        assert at(samples, "utterances_total", way="spoken", state="refused") == 1
        counts = [at(samples, "utterance_latency_seconds_count", step=s) for s in ("accepted", "started", "pictured")]
        assert counts == [1, 1, 1]
        sums = [at(samples, "utterance_latency_seconds_sum", step=step) for step in ("accepted", "started")]
        assert 0 <= sums[0] < sums[1], "it is heard after it was accepted"


async def test_what_a_stream_knows_of_its_sessions_and_its_speech(on_air):
    async with on_air() as (registry, opener), player() as watching, publisher() as said:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 10)
        viewer, publishing = (session.stats() for session in stream.sessions())
        assert [session.id for session in stream.viewers] == [watching.session.id]
        assert (viewer.kind, viewer.ending, viewer.ice_failure) == ("viewer", None, None)
        assert (publishing.kind, publishing.connection_state, publishing.video) == ("publisher", "connected", None)
        assert publishing.connected_s > 0 and publishing.ice_state == "completed"
        assert len(opener.worker.heard) <= publishing.audio.packets_received
        assert publishing.audio.bytes_received >= sum(len(packet.data) for packet in opener.worker.heard)
        assert publishing.audio.packets_lost == 0
        stats = stream.stats()
        assert (stats.name, stats.viewers, stats.publisher, stats.last_utterance.state) == ("demo", 1, True, "started")
        opener.worker.die()
        opener.worker.start()
        assert stream.stats().utterances == {"failed": 1}
        assert registry.ledger.worker_losses == 1
        await stream.end_publisher(said.session.id)
        assert registry.ledger.media["packets_received", "publisher", "opus"] >= publishing.audio.packets_received


async def test_each_way_that_ice_fails_has_its_reason():
    """Nobody there; a peer that checks and never answers; one whose pair works and that knows no DTLS."""
    async with live_server(join_timeout_s=1.0) as http, player() as absent, player() as deaf, player() as plain:
        assert (await post(http, await offer_of(absent))).status_code == 201
        offers = [await offer_of(deaf), await offer_of(plain)]
        async with stun_agent(offers[0]) as mute, stun_agent(offers[1]) as willing:
            mute._answer = lambda *_: None
            for agent, offer in ((mute, offers[0]), (willing, offers[1])):
                server = Answered.read((await post(http, offer)).text)
                agent.check(server)
            samples = await until_scrape(http, "sessions_ended_total", 3, kind="viewer", ending="expired")
        reasons = {reason: at(samples, "ice_failures_total", reason=reason) for reason in map(str, IceFailure)}
        assert reasons == {"unreached": 1, "unanswered": 1, "dtls": 1, "consent": 0, "gathering": 0}


async def test_candidates_that_are_not_found_in_time_are_a_failure(monkeypatch):
    monkeypatch.setattr(peer, "ANSWER_TIMEOUT_S", 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        async with live_server(stun_urls=[url]) as http, player() as watching:
            assert (await post(http, await offer_of(watching))).status_code == 503
            assert at(await scrape(http), "ice_failures_total", reason="gathering") == 1


async def test_a_peer_that_falls_silent_is_disconnected_then_lost(on_air, monkeypatch):
    monkeypatch.setattr(ice, "CONSENT_INTERVAL_S", 0.2)
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await plays(watching)
        states = []
        vanish(watching)

        def lost() -> bool:
            states.extend(each.stats().connection_state for each in stream.viewers)
            return not stream.viewers

        await eventually(lost)
        assert list(dict.fromkeys(states))[:2] == ["connected", "disconnected"]
        assert registry.ledger.ice_failures == {IceFailure.CONSENT: 1}
        assert registry.ledger.sessions == {("viewer", "lost"): 1}
        assert watching.session.stats().connected_s > 0, "known after its end"


async def test_the_page_is_for_publishers_where_there_are_tokens_and_shows_no_secret():
    settings = Settings(publish_token="letmein")
    live = FakeRegistry()
    await live.put_on_air("hidden-name", "nova", VideoFormat(*SIZE, 25), listed=False)
    async with serving(settings, live.open) as http:
        assert (await http.get("/metrics")).status_code == 401
        head = await http.head("/metrics", headers={"Authorization": "Bearer letmein"})
        assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 1000
        wanted = {"Authorization": "Bearer letmein", "Accept": "application/openmetrics-text; version=1.0.0"}
        page = await http.get("/metrics", headers=wanted)
        names = {family.name for family in parse_openmetrics(page.text)}
        assert {"whep_avatar_sessions", "whep_avatar_http_requests", "process_cpu_seconds"} <= names
        assert "hidden-name" not in page.text and "session-secret" not in page.text


async def test_two_servers_in_one_process_count_apart():
    first, second = FakeRegistry(), FakeRegistry()
    second.ready = False
    async with serving(Settings(), first.open) as one, serving(Settings(), second.open) as other:
        for path in ("/healthz", "/healthz", "/no/such/page/1", "/no/such/page/2"):
            await one.get(path)
        counted, apart = await scrape(one), await scrape(other)
        assert at(counted, "http_requests_total", route="/healthz", status="2xx") == 2
        assert at(counted, "http_requests_total", route="unmatched", status="4xx") == 2
        assert not [labels for name, labels in apart if name == "http_requests_total"]
        assert (at(counted, "ready"), at(apart, "ready")) == (1, 0)


async def test_a_recording_is_an_utterance_of_its_own_kind(on_air):
    async with on_air() as (registry, _):
        stream = await demo_of(registry)

        async def pieces():
            yield speech(5)

        recording = await stream.record(pieces(), chunk_frames=5)
        assert [chunk async for chunk in recording]
        await eventually(lambda: registry.ledger.utterances == {("recorded", "finished"): 1})
