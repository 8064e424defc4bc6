"""Ask STUN and TURN servers as a connection would, one at a time, and say what each answered.  RFC 8489, RFC 8656.

Relied on, read at aioice 0.13.0: ``stun.Transaction``, ``turn.create_turn_endpoint``, and that ``aioice.turn`` logs
each message that it is sent. It drops error responses that are not signed, so that a full server (486) looks like a
silent one; what was dropped is read off that log.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, cast

import aioice.ice
from aioice import stun, turn
from aiortc.rtcicetransport import parse_stun_turn_uri

from whep_server.rtc import addresses
from whep_server.rtc.gathering import SERVER_S
from whep_server.settings import Settings

ANSWER_S: Final = SERVER_S
"""As patient as the server is with them."""
REASONS: Final = {
    300: "it wants another server to be asked",
    400: "it does not like the request; some say so of a wrong password",
    401: "wrong user name, password or secret",
    403: "it forbids this",
    437: "it has no such allocation",
    438: "stale nonce",
    441: "wrong credentials",
    442: "it does not relay UDP",
    486: "this user has as many allocations as it may have",
    508: "it has no more ports to relay from",
}
"""RFC 8489 section 14.8, RFC 8656 section 19."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    address: str = ""
    """As STUN: ours, as seen from there. As TURN: the relay's. Empty where there is none."""
    problem: str = ""
    """Why there is none, in words."""
    code: int | None = None
    """The STUN error code, where the server named one."""
    tried: bool = True
    """False where this server would never ask it."""


def offered_addresses(settings: Settings) -> list[str]:
    """The machine's addresses that are told to peers, in their order."""
    return addresses.offered(settings, aioice.ice.get_host_addresses)


async def ask_stun(url: str) -> Answer:
    """Our address as a STUN server sees it."""
    try:
        parsed = parse_stun_turn_uri(url)
    except ValueError as error:
        return Answer(problem=str(error))
    if parsed["scheme"] != "stun":
        return Answer(problem="this server asks stun: only", tried=False)
    try:
        async with asyncio.timeout(ANSWER_S):
            return Answer(await _bind(parsed["host"], parsed["port"]))
    except (OSError, stun.TransactionError) as error:
        return _answer_of(error, [])


async def allocate(url: str, username: str, password: str) -> Answer:
    """The address that a TURN server relays for us; it is given back at once."""
    try:
        parsed = parse_stun_turn_uri(url)
    except ValueError as error:
        return Answer(problem=str(error))
    secure = parsed["scheme"] == "turns"
    if parsed["transport"] not in ("tcp",) if secure else parsed["transport"] not in ("udp", "tcp"):
        return Answer(problem=f"this server does not speak {parsed['scheme']}: over {parsed['transport']}", tried=False)
    codes: list[int] = []
    _codes.set(codes)  # this task's: what aioice calls back runs in its context
    try:
        async with asyncio.timeout(ANSWER_S):
            transport, relayed = await turn.create_turn_endpoint(
                _Relayed,
                server_addr=(parsed["host"], parsed["port"]),
                username=username,
                password=password,
                ssl=secure or None,
                transport=parsed["transport"],
            )
    except (OSError, stun.TransactionError) as error:
        return _answer_of(error, codes)
    address = str(transport.get_extra_info("sockname")[0])
    transport.close()
    with contextlib.suppress(TimeoutError):  # what is not given back expires
        async with asyncio.timeout(ANSWER_S):
            await relayed.closed.wait()
    return Answer(address)


async def _bind(host: str, port: int) -> str:
    """As aioice does it: over IPv4, which is where addresses are translated."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    _, asker = await loop.create_datagram_endpoint(_Asker, local_addr=("0.0.0.0", 0))
    try:
        return await asker.ask((str(found[0][4][0]), port))
    finally:
        asker.transport.close()


def _answer_of(error: Exception, codes: Sequence[int]) -> Answer:
    heard = [code for code in codes if code not in (401, 438)]  # these are how a login begins, and never dropped
    match error:
        case stun.TransactionFailed():
            return _refusal(error.response.error_code or 0)
        case TimeoutError() | stun.TransactionTimeout() if heard:
            return _refusal(heard[-1])
        case TimeoutError() | stun.TransactionTimeout():
            return Answer(problem=f"unreachable: it was silent for {ANSWER_S:.0f} s")
        case socket.gaierror():
            return Answer(problem="its name is not found")
        case ConnectionError():
            return Answer(problem=f"unreachable: {os.strerror(error.errno) if error.errno else error}")
        case ssl.SSLCertVerificationError():
            return Answer(problem=f"its certificate is not accepted: {error.verify_message}")
        case _:
            return Answer(problem=str(error) or type(error).__name__)


def _refusal(code: int) -> Answer:
    return Answer(problem=f"error {code}: {REASONS.get(code, 'it refuses')}", code=code)


class _Asker(asyncio.DatagramProtocol):
    """One binding request."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self._transaction: stun.Transaction | None = None
        self._id = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own does not inherit from it

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """For aioice's transaction, which repeats it."""
        self.transport.sendto(bytes(message), addr)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(ValueError):
            message = stun.parse_message(data)
            if self._transaction is not None and message.transaction_id == self._id:
                self._transaction.response_received(message, addr)

    async def ask(self, server: tuple[str, int]) -> str:
        """Our address. Errors: TransactionError; OSError for an answer without one."""
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        self._id = request.transaction_id
        self._transaction = stun.Transaction(request, server, self)
        response, _ = await self._transaction.run()
        try:
            return str(response.attributes["XOR-MAPPED-ADDRESS"][0])
        except KeyError:
            raise OSError("its answer names no address") from None


class _Relayed(asyncio.DatagramProtocol):
    """The far end of an allocation that nothing is sent through."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


_codes: Final[ContextVar[list[int]]] = ContextVar("codes")
"""Of the error responses that came during one allocation."""


class _Overhearing(logging.Handler):
    """Notes the code of each error response that aioice logs."""

    def emit(self, record: logging.LogRecord) -> None:
        for value in record.args if isinstance(record.args, tuple) else ():
            if isinstance(value, stun.Message) and value.message_class is stun.Class.ERROR:
                _codes.get([]).append(value.error_code or 0)


@contextlib.contextmanager
def overhearing() -> Iterator[None]:
    """Inside the block, ``allocate`` also knows of answers that aioice drops."""
    ear, level, passed_on = _Overhearing(logging.DEBUG), turn.logger.level, turn.logger.propagate
    turn.logger.addHandler(ear)
    turn.logger.setLevel(logging.DEBUG)
    turn.logger.propagate = False  # it is nobody's debugging
    try:
        yield
    finally:
        turn.logger.removeHandler(ear)
        turn.logger.setLevel(level)
        turn.logger.propagate = passed_on
