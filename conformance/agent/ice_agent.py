"""ICE over one socket and one component: checks, nomination, consent, in either role. Pure; the caller has the clock.

What a real agent may leave out or do its own way is a habit, so that odd peers can be imitated. Candidates are
addresses; the local candidate is the socket. Sources: RFC 8445 (checks, roles), RFC 7675 (consent).
"""

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from conformance.agent.stun import (
    Address,
    Attribute,
    Kind,
    MalformedStun,
    Message,
    error_value,
    new_transaction,
    parse_stun,
    xor_address,
)

FIRST_RETRY_S: Final = 0.1
"""RFC 8445 section 14.3 says 500 ms; a tester's user waits, and the paths of servers under test are short."""
LAST_RETRY_S: Final = 0.8
MAX_CHECKS: Final = 40
"""Checks of one candidate before it is given up: about half a minute."""
NOMINATE_AFTER_S: Final = 0.05
"""How long a better candidate may take after the first one that works."""
CONSENT_S: Final = 5.0
"""Time between two consent checks (RFC 7675 section 5.1)."""
HOST_PRIORITY: Final = 126 << 24 | 65535 << 8 | 255
REFLEXIVE_PRIORITY: Final = 110 << 24 | 65535 << 8 | 255
ROLE_CONFLICT: Final = 487


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name fragment and its password."""

    ufrag: str
    password: str


def new_credentials() -> Credentials:
    """Credentials of the length that RFC 8445 section 5.3 asks for, in letters every parser takes."""
    return Credentials(secrets.token_hex(4), secrets.token_hex(12))


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent behaves where agents differ."""

    nominate_at_once: bool = False
    """USE-CANDIDATE on every check (aggressive nomination, RFC 5245)."""
    says_priority: bool = True
    says_role: bool = True
    maps_addresses: bool = True
    """XOR-MAPPED-ADDRESS in responses."""
    checks_consent: bool = True
    consent_s: float = CONSENT_S
    """Time between two consent checks."""


@dataclass(slots=True)
class _Pair:
    """A remote candidate, with what is known about the way to it."""

    address: Address
    next_check_s: float
    checks: int = 0
    works: bool = False
    heard: bool = False
    """The peer sent a signed check from there."""
    peer_nominated: bool = False
    """As controlled agent: the peer sent USE-CANDIDATE on it."""

    def schedule(self, now_s: float) -> None:
        self.checks += 1
        self.next_check_s = now_s + min(FIRST_RETRY_S * 2 ** (self.checks - 1), LAST_RETRY_S)


@dataclass(slots=True)
class IceAgent:
    """One ICE session on one socket."""

    local: Credentials
    controlling: bool = True
    habits: Habits = field(default_factory=Habits)
    remote: Credentials | None = None
    silent: bool = False
    """Neither answers nor asks, as a peer that vanished."""
    outgoing: deque[tuple[bytes, Address]] = field(default_factory=deque)
    """Datagrams that the caller is to send."""
    selected: Address | None = None
    """The nominated address; media goes there."""
    answered_s: float | None = None
    """When the peer last answered a check of ours."""
    asked_s: float | None = None
    """When the peer last sent a check that was signed with our password."""
    refused: int = 0
    """Checks of the peer with wrong credentials."""
    _pairs: list[_Pair] = field(default_factory=list)
    _open: dict[bytes, tuple[_Pair, bool]] = field(default_factory=dict)
    """Checks without an answer yet: the pair, and whether it nominates."""
    _tie_breaker: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    _works_since_s: float | None = None
    _nominated: _Pair | None = None

    def set_remote(self, remote: Credentials, candidates: Sequence[Address], now_s: float) -> None:
        """Take the peer's credentials and candidates, best first. May be called again for trickled candidates."""
        self.remote = remote
        for address in candidates:
            self._pair(address, now_s)

    def receive(self, datagram: bytes, source: Address, now_s: float) -> None:
        """A STUN datagram came in. What is no STUN message, or not of this session, is dropped."""
        if self.silent:
            return
        try:
            message = parse_stun(datagram)
        except MalformedStun:
            return
        if message.kind is Kind.REQUEST:
            self._request(message, source, now_s)
        elif message.kind in (Kind.SUCCESS, Kind.ERROR):
            self._response(message, source, now_s)

    def tick(self, now_s: float) -> None:
        """Send the checks that are due."""
        if self.silent or self.remote is None:
            return
        if self.selected is None:
            self._nominate(now_s)
        for pair in self._pairs:
            if pair.next_check_s > now_s or (pair.checks >= MAX_CHECKS and not pair.works):
                continue
            if pair.address == self.selected:
                self._consent(pair, now_s)
            elif pair is self._nominated or not pair.works:
                self._check(pair, now_s)

    def probe(self, now_s: float) -> None:
        """Ask the selected address now, to see whether it still answers."""
        pair = next((pair for pair in self._pairs if pair.address == self.selected), None)
        if pair is not None and not self.silent:
            self._check(pair, now_s)

    def trusts(self, address: Address) -> bool:
        """Whether a signed message came from an address: only then anything but STUN may."""
        return any(pair.address == address and (pair.works or pair.heard) for pair in self._pairs)

    def _pair(self, address: Address, now_s: float) -> _Pair:
        pair = next((pair for pair in self._pairs if pair.address == address), None)
        if pair is None:
            pair = _Pair(address, now_s)
            self._pairs.append(pair)
        return pair

    # --- our checks

    def _nominate(self, now_s: float) -> None:
        """As controlling agent: choose the best pair that works, once better ones had their time."""
        if not self.controlling or self._nominated is not None or self._works_since_s is None:
            return
        best = next(pair for pair in self._pairs if pair.works)
        if best is self._pairs[0] or now_s - self._works_since_s >= NOMINATE_AFTER_S:
            self._nominated = best
            best.checks, best.next_check_s = 0, now_s

    def _consent(self, pair: _Pair, now_s: float) -> None:
        pair.next_check_s = now_s + self.habits.consent_s * (0.8 + secrets.randbelow(400) / 1000)
        if self.habits.checks_consent:
            self._send_check(pair, nominates=False)

    def _check(self, pair: _Pair, now_s: float) -> None:
        nominates = self.controlling and (self.habits.nominate_at_once or pair is self._nominated)
        pair.schedule(now_s)
        self._send_check(pair, nominates=nominates and self.selected is None)

    def _send_check(self, pair: _Pair, *, nominates: bool) -> None:
        if self.remote is None:
            return
        attributes = [(Attribute.USERNAME, f"{self.remote.ufrag}:{self.local.ufrag}".encode())]
        if self.habits.says_priority:
            attributes.append((Attribute.PRIORITY, REFLEXIVE_PRIORITY.to_bytes(4, "big")))
        if self.habits.says_role:
            role = Attribute.ICE_CONTROLLING if self.controlling else Attribute.ICE_CONTROLLED
            attributes.append((role, self._tie_breaker))
        if nominates:
            attributes.append((Attribute.USE_CANDIDATE, b""))
        request = Message(Kind.REQUEST, new_transaction(), tuple(attributes))
        self._open[request.transaction] = (pair, nominates)
        self.outgoing.append((request.to_bytes(self.remote.password), pair.address))

    def _response(self, message: Message, source: Address, now_s: float) -> None:
        pair, nominated = self._open.get(message.transaction, (None, False))
        if pair is None or self.remote is None or pair.address != source or not message.is_from(self.remote.password):
            return
        del self._open[message.transaction]
        if message.kind is Kind.ERROR:
            if message.error_code == ROLE_CONFLICT:
                self.controlling = not self.controlling
            return
        self.answered_s = now_s
        pair.works = True
        if self._works_since_s is None:
            self._works_since_s = now_s
        if nominated or (pair.peer_nominated and not self.controlling):
            self._select(pair, now_s)

    def _select(self, pair: _Pair, now_s: float) -> None:
        if self.selected != pair.address:
            self.selected = pair.address
            pair.next_check_s = now_s + self.habits.consent_s

    # --- the peer's checks

    def _request(self, message: Message, source: Address, now_s: float) -> None:
        username = (message.value(Attribute.USERNAME) or b"").decode(errors="replace")
        if username.partition(":")[0] != self.local.ufrag or not message.is_from(self.local.password):
            self.refused += 1
            self._refuse(message, source, 401, "Unauthorized", signed=False)
            return
        if self._conflicts(message):
            self._refuse(message, source, ROLE_CONFLICT, "Role Conflict", signed=True)
            return
        self.asked_s = now_s
        mapped = ((Attribute.XOR_MAPPED_ADDRESS, xor_address(source, message.transaction)),)
        response = Message(Kind.SUCCESS, message.transaction, mapped if self.habits.maps_addresses else ())
        self.outgoing.append((response.to_bytes(self.local.password), source))
        self._triggered(source, message.value(Attribute.USE_CANDIDATE) is not None, now_s)

    def _triggered(self, source: Address, nominates: bool, now_s: float) -> None:
        """A check from an address makes one towards it due (RFC 8445 section 7.3.1.4)."""
        pair = self._pair(source, now_s)
        pair.heard = True
        if not pair.works:
            pair.checks, pair.next_check_s = 0, min(pair.next_check_s, now_s)
        if nominates and not self.controlling:
            pair.peer_nominated = True
            if pair.works:
                self._select(pair, now_s)

    def _conflicts(self, message: Message) -> bool:
        """Whether the peer must change its role; where we must change ours, we do (RFC 8445 section 7.3.1.1)."""
        same = Attribute.ICE_CONTROLLING if self.controlling else Attribute.ICE_CONTROLLED
        theirs = message.value(same)
        if theirs is None or not self.habits.says_role:
            return False
        we_control = self._tie_breaker >= theirs
        if we_control == self.controlling:
            return True
        self.controlling = not self.controlling
        return False

    def _refuse(self, message: Message, source: Address, code: int, reason: str, *, signed: bool) -> None:
        attributes = ((Attribute.ERROR_CODE, error_value(code, reason)),)
        response = Message(Kind.ERROR, message.transaction, attributes)
        self.outgoing.append((response.to_bytes(self.local.password if signed else None), source))
