"""ICE agents against each other on a wire in memory, by a clock that the tests turn."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.agent.ice_agent import CONSENT_S, Habits, IceAgent, new_credentials
from conformance.agent.stun import Address, Attribute, Kind, Message, parse_stun

CLIENT: Address = ("192.0.2.1", 1000)
SERVER: Address = ("192.0.2.2", 2000)
NOWHERE: Address = ("192.0.2.9", 9)
STEP_S = 0.01


@dataclass
class Wire:
    """Two agents and what flows between them."""

    client: IceAgent
    server: IceAgent
    now_s: float = 0.0
    seen: list[tuple[Address, Message]] = field(default_factory=list)
    """Each message, with who sent it."""
    lossy: Callable[[int], bool] = lambda number: False

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.client.tick(self.now_s)
            self.server.tick(self.now_s)
            while self.client.outgoing or self.server.outgoing:
                self._carry(self.client, CLIENT, self.server, SERVER)
                self._carry(self.server, SERVER, self.client, CLIENT)
            self.now_s += STEP_S

    def _carry(self, sender: IceAgent, source: Address, receiver: IceAgent, address: Address) -> None:
        while sender.outgoing:
            datagram, to = sender.outgoing.popleft()
            self.seen.append((source, parse_stun(datagram)))
            if to == address and not self.lossy(len(self.seen)):
                receiver.receive(datagram, source, self.now_s)

    def requests(self, source: Address) -> list[Message]:
        return [message for sender, message in self.seen if sender == source and message.kind is Kind.REQUEST]


def wire(client: Habits = Habits(), candidates: tuple[Address, ...] = (SERVER,), **kinds: bool) -> Wire:  # noqa: B008
    """A client that knows the server's candidates, and a server that knows none of the client."""
    offering = IceAgent(new_credentials(), controlling=kinds.get("client_controls", True), habits=client)
    answering = IceAgent(new_credentials(), controlling=kinds.get("server_controls", False))
    offering.set_remote(answering.local, candidates, 0.0)
    answering.set_remote(offering.local, (), 0.0)
    return Wire(offering, answering)


def test_two_agents_find_each_other_though_one_was_told_nothing() -> None:
    pair = wire()
    pair.run(1)
    assert (pair.client.selected, pair.server.selected) == (SERVER, CLIENT)
    assert pair.client.trusts(SERVER)
    assert pair.server.trusts(CLIENT)


def test_a_candidate_that_leads_nowhere_does_not_hold_up_one_that_works() -> None:
    pair = wire(candidates=(NOWHERE, SERVER))
    pair.run(1)
    assert pair.client.selected == SERVER
    assert not pair.client.trusts(NOWHERE)


@pytest.mark.parametrize("seed", range(5))
def test_lost_checks_are_repeated(seed: int) -> None:
    pair, chance = wire(), random.Random(seed)
    pair.lossy = lambda number: chance.random() < 0.5
    pair.run(20)
    assert (pair.client.selected, pair.server.selected) == (SERVER, CLIENT)


def test_regular_nomination_nominates_after_a_check_and_aggressive_at_once() -> None:
    regular, aggressive = wire(), wire(Habits(nominate_at_once=True))
    regular.run(1)
    aggressive.run(1)

    def nominating(pair: Wire) -> list[bool]:
        return [request.value(Attribute.USE_CANDIDATE) is not None for request in pair.requests(CLIENT)]

    assert nominating(regular)[:2] == [False, True]
    assert nominating(aggressive)[:1] == [True]


def test_habits_leave_out_what_a_client_leaves_out() -> None:
    pair = wire(Habits(nominate_at_once=True, says_priority=False, says_role=False, maps_addresses=False))
    pair.run(1)
    first = pair.requests(CLIENT)[0]
    assert [number for number, _ in first.attributes] == [Attribute.USERNAME, Attribute.USE_CANDIDATE]
    responses = [message for source, message in pair.seen if source == CLIENT and message.kind is Kind.SUCCESS]
    assert responses
    assert all(message.mapped_address is None for message in responses)
    assert pair.server.selected == CLIENT


@pytest.mark.parametrize("controlling", [True, False])
def test_two_agents_of_one_role_settle_who_controls(controlling: bool) -> None:
    pair = wire(client_controls=controlling, server_controls=controlling)
    pair.run(2)
    assert pair.client.controlling is not pair.server.controlling
    assert (pair.client.selected, pair.server.selected) == (SERVER, CLIENT)


def test_consent_is_asked_for_and_a_silent_agent_neither_asks_nor_answers() -> None:
    pair = wire()
    pair.run(1)
    before = pair.client.answered_s
    pair.run(2 * CONSENT_S)
    assert pair.client.answered_s != before
    pair.server.silent = True
    heard, told = pair.client.answered_s, len(pair.requests(SERVER))
    pair.run(3 * CONSENT_S)
    assert (pair.client.answered_s, len(pair.requests(SERVER))) == (heard, told)


def test_a_probe_asks_at_once() -> None:
    pair = wire()
    pair.run(1)
    pair.client.probe(pair.now_s)
    pair.run(STEP_S)
    assert pair.client.answered_s is not None
    assert pair.client.answered_s >= 1


def test_a_check_with_a_wrong_password_is_refused_and_learns_nothing() -> None:
    pair = wire()
    stranger = IceAgent(pair.client.local)
    stranger.set_remote(new_credentials(), (SERVER,), 0.0)
    stranger.tick(0.0)
    datagram, _ = stranger.outgoing.popleft()
    pair.server.receive(datagram, NOWHERE, 0.0)
    answer = parse_stun(pair.server.outgoing.popleft()[0])
    assert (answer.kind, answer.error_code, pair.server.refused) == (Kind.ERROR, 401, 1)
    assert not pair.server.trusts(NOWHERE)


def test_an_answer_from_elsewhere_than_asked_does_not_count() -> None:
    pair = wire()
    pair.client.tick(0.0)
    request, _ = pair.client.outgoing.popleft()
    pair.server.receive(request, CLIENT, 0.0)
    pair.client.receive(pair.server.outgoing.popleft()[0], NOWHERE, 0.0)
    assert pair.client.answered_s is None


@given(st.binary(max_size=100))
def test_any_datagram_leaves_an_agent_as_it_was(datagram: bytes) -> None:
    agent = IceAgent(new_credentials())
    agent.receive(datagram, SERVER, 0.0)
    assert agent.selected is None
    assert not agent.trusts(SERVER)
