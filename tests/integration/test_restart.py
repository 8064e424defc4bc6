"""ICE restart: a further ICE session under the same peer connection; media goes on whatever becomes of it."""

import asyncio
import itertools
import re
from dataclasses import dataclass

import pytest
from aioice import Candidate

from tests.aiortc_player import Player, eventually, player
from whep_server.errors import MalformedFragment
from whep_server.live.session import Restarted
from whep_server.live.stream import Stream
from whep_server.rtc.connection import RestartableConnection, connection_of, local_ice
from whep_server.rtc.generation import Generation
from whep_server.signaling.sdpfrag import Credentials, parse_fragment
from whep_server.signaling.state import State

STRANGER = "a=ice-ufrag:newufrag\r\na=ice-pwd:newpasswordnewpassword1\r\n"
"""A restart of a peer that then never comes."""


@dataclass
class Restarting:
    """A player's side of a restart."""

    connection: RestartableConnection
    fresh: Generation

    @property
    def fragment(self) -> str:
        return local_ice(self.fresh).to_fragment("video", "0", ("0", "1"))

    async def take(self, reply: Restarted) -> None:
        ours = parse_fragment(reply.fragment.encode())
        assert ours.ufrag is not None and ours.password is not None
        await self.connection.adopt(self.fresh, Credentials(ours.ufrag, ours.password), 10)
        for candidate in ours.candidates:
            await self.fresh.add_remote_candidate(Candidate.from_sdp(candidate.value))

    @property
    def done(self) -> bool:
        return self.connection._current is self.fresh


async def restarting(watching: Player) -> Restarting:
    connection = connection_of(watching.connection.getTransceivers()[0].receiver)
    return Restarting(connection, await connection.prepare())


async def watch_demo(registry, watching: Player) -> Stream:
    await eventually(lambda: registry.ready)
    stream = registry.stream("demo")
    await watching.watch(stream)
    await watching.until(lambda: len(watching.pictures) > 3)
    return stream


def ours_of(watching: Player) -> RestartableConnection:
    return watching.session._peer._ice()


async def more_pictures(watching: Player, count: int = 5) -> None:
    seen = len(watching.pictures)
    await watching.until(lambda: len(watching.pictures) > seen + count)


async def test_media_goes_over_to_the_new_pair(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await watch_demo(registry, watching)
        answer, before, tag = watching.session.answer, ours_of(watching)._current, watching.session.etag
        old_ports = {candidate.port for candidate in before.local_candidates}
        theirs = await restarting(watching)
        reply = await watching.session.patch(theirs.fragment)
        assert reply.etag == watching.session.etag != tag
        new = parse_fragment(reply.fragment.encode())
        assert new.ufrag not in re.findall(r"a=ice-ufrag:(\S+)", answer)
        assert new.complete and not old_ports & {int(each.value.split()[5]) for each in new.candidates}
        assert set(re.findall(r"a=ice-options:\S+", reply.fragment)) == set(re.findall(r"a=ice-options:\S+", answer))
        await theirs.take(reply)
        await eventually(lambda: theirs.done and ours_of(watching)._current is not before)
        await eventually(lambda: not before._protocols)  # the old sockets are closed
        await more_pictures(watching)
        sequence = [packet.sequence for packet in watching.packets["video"]]
        assert all((after - before) % 65536 == 1 for before, after in itertools.pairwise(sequence))
        assert stream.viewer_session(watching.session.id).state is State.CONNECTED


async def test_a_second_restart_works_as_the_first_did(on_air):
    async with on_air() as (registry, _), player() as watching:
        await watch_demo(registry, watching)
        for _ in range(2):
            theirs = await restarting(watching)
            await theirs.take(await watching.session.patch(theirs.fragment))
            await eventually(lambda theirs=theirs: theirs.done)
            await more_pictures(watching)


@pytest.mark.parametrize(
    "fragment",
    [
        "a=ice-ufrag:newufrag\r\n",
        "a=ice-pwd:newpasswordnewpassword1\r\n",
        "a=ice-ufrag:newufrag\r\na=ice-pwd:short\r\n",
        "a=ice-ufrag:new\r\na=ice-pwd:newpasswordnewpassword1\r\n",
        "a=ice-ufrag:new ufrag\r\na=ice-pwd:newpasswordnewpassword1\r\n",
    ],
)
async def test_a_broken_restart_leaves_the_session_as_it_was(on_air, fragment):
    async with on_air() as (registry, _), player() as watching:
        await watch_demo(registry, watching)
        tag = watching.session.etag
        with pytest.raises(MalformedFragment):
            await watching.session.patch(fragment)
        assert watching.session.etag == tag
        await more_pictures(watching)


async def test_a_restart_whose_peer_never_comes_leaves_media_on_the_old_pair(on_air):
    async with on_air(join_timeout_s=0.5) as (registry, _), player() as watching:
        await watch_demo(registry, watching)
        connection = ours_of(watching)
        before = connection._current
        assert await watching.session.patch(STRANGER) is not None
        attempt = connection._attempt
        await eventually(lambda: connection._attempt is None and not attempt.fresh._protocols)
        assert connection._current is before
        await more_pictures(watching)


async def test_of_two_restarts_the_last_one_counts(on_air):
    async with on_air() as (registry, _), player() as watching:
        await watch_demo(registry, watching)
        await watching.session.patch(STRANGER)
        given_up = ours_of(watching)._attempt
        theirs = await restarting(watching)
        await theirs.take(await watching.session.patch(theirs.fragment))
        await eventually(lambda: theirs.done)
        assert given_up.task.done() and not given_up.fresh._protocols
        await more_pictures(watching)


async def test_late_candidates_of_the_former_ice_session_are_no_restart(on_air):
    async with on_air() as (registry, _), player() as watching:
        await watch_demo(registry, watching)
        former = watching.session._remote
        theirs = await restarting(watching)
        await theirs.take(await watching.session.patch(theirs.fragment))
        tag = watching.session.etag
        late = f"a=ice-ufrag:{former.ufrag}\r\na=ice-pwd:{former.password}\r\na=end-of-candidates\r\n"
        assert await watching.session.patch(late) is None
        assert watching.session.etag == tag
        await eventually(lambda: theirs.done)


async def test_a_restart_before_the_first_connection_connects(on_air):
    def silent(offer: str) -> str:
        return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)

    async with on_air() as (registry, _), player() as watching:
        await eventually(lambda: registry.ready)
        await watching.connection.setLocalDescription(await watching.connection.createOffer())
        watching.session = await registry.stream("demo").open_viewer(silent(watching.connection.localDescription.sdp))
        theirs = await restarting(watching)
        theirs.fresh.ice_controlling = True
        await theirs.take(await watching.session.patch(theirs.fragment))
        await eventually(lambda: watching.session._peer._connection.iceConnectionState == "completed")


async def test_a_session_that_ends_during_a_restart_leaves_nothing(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await watch_demo(registry, watching)
        connection = ours_of(watching)
        await watching.session.patch(STRANGER)
        attempt = connection._attempt
        await stream.viewer_session(watching.session.id).close()
        assert attempt.task.done() and not attempt.fresh._protocols and not connection._current._protocols
        await watching.until(lambda: watching.connection.connectionState == "closed")


async def test_a_lost_pair_is_no_loss_while_a_restart_is_under_way(on_air):
    """The player's old address is gone: consent on the old pair fails before the new pair is up."""
    async with on_air() as (registry, _), player() as watching:
        stream = await watch_demo(registry, watching)
        theirs = await restarting(watching)
        reply = await watching.session.patch(theirs.fragment)
        await ours_of(watching)._current.close()  # as query_consent does
        await asyncio.sleep(0)
        assert stream.viewer_session(watching.session.id).state is State.CONNECTED
        await theirs.take(reply)
        await eventually(lambda: theirs.done)
        await more_pictures(watching)
