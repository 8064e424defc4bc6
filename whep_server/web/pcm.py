"""Speech that is streamed in while it is made: ``WS /streams/{stream}/pcm``. The protocol: docs/streaming-speech.md.

One task reads, one writes, and two care for each utterance (``pcm_turn``). The end of a connection is not the end of
what it has said: that is spoken as far as it came. A client that does not read what it is told is cut off. Pages of any
origin may connect, unless some are named: what protects a stream is the token, as everywhere (``web/auth.py``).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from litestar import HttpMethod, route, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.errors import BadRequest, ServerError, UpgradeRequired
from whep_server.log import begin
from whep_server.tracing.spans import asked_by
from whep_server.tracing.spans import begin as begin_trace
from whep_server.web.auth import OFFERED
from whep_server.web.bodies import Socket
from whep_server.web.closing import Closing, ClosingEvent
from whep_server.web.cors import Sharing
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.endpoints import empty
from whep_server.web.handshake import refuse
from whep_server.web.interrupt import Silenced, silenced
from whep_server.web.lease import OVER, lease_of
from whep_server.web.on_air import Config, Live, Stream
from whep_server.web.pcm_messages import (
    SUBPROTOCOL,
    Append,
    BadMessage,
    Begin,
    Begun,
    Cancel,
    Commit,
    Fault,
    Interrupt,
    Mark,
    Message,
    Ready,
    State,
    Told,
    fault,
    parse_message,
    step,
)
from whep_server.web.pcm_turn import PcmTurn
from whep_server.web.replies import READ
from whep_server.web.subject import subject

logger = logging.getLogger(__name__)

PATH: Final = "/streams/{stream:str}/pcm"
WRITE_S: Final = 30.0
"""A client that has not taken what was sent for so long is cut off."""
OUTBOX: Final = 64
"""So many events wait to be sent; who has more to tell waits, the reader too."""


@dataclass(frozen=True, slots=True)
class End:
    """The last of what is sent: nothing more, or a close frame (RFC 6455 section 7.4.1)."""

    code: int | None = None
    reason: str = ""


GONE: Final = End()
GOING_AWAY: Final = End(1001, "the server ends")
TOO_LARGE: Final = End(1009, "a message is too large")
EXPIRED: Final = End(1008, OVER)


class PcmConnection:
    """One client; see the module."""

    def __init__(self, socket: Socket, find_stream: Callable[[], Stream], closing: Closing, gap_s: float) -> None:
        """``find_stream`` raises NotOnAir where it is taken off the air; ``gap_s``: as ``pcm_gap_s``."""
        self._socket = socket
        self._find_stream = find_stream
        self._closing = closing
        self._gap_s = gap_s
        self._outbox: asyncio.Queue[Told | End] = asyncio.Queue(OUTBOX)
        self._gone = False
        self._state = State.IDLE
        self._turn: PcmTurn | None = None  # whose samples come, or came last
        self._turns: list[PcmTurn] = []
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Until the client goes, is cut off, or the server ends; then until what came is handed on."""
        async with self._group as group:
            reader = group.create_task(self._read(), name="pcm-read")
            closer = group.create_task(self._until_closing(), name="pcm-closing")
            expiry = group.create_task(self._until_expired(), name="pcm-lease")
            await self._write()
            reader.cancel()
            expiry.cancel()
            self._forget_outbox()
            self._leave(at_once=self._closing.is_set())
            for turn in self._turns:
                await turn.handed_on.wait()
            closer.cancel()

    def _leave(self, *, at_once: bool) -> None:
        for turn in self._turns:
            turn.leave(at_once=at_once)

    # --- what is sent

    async def _tell(self, told: Told | End) -> None:
        if not self._gone:
            await self._outbox.put(told)

    def _forget_outbox(self) -> None:
        """Nobody waits to put something there any more."""
        self._gone = True
        while not self._outbox.empty():
            self._outbox.get_nowait()

    async def _write(self) -> None:
        """Until the end of what is sent."""
        await self._tell(Ready(self._find_stream().name))
        told: Told | End = {}
        while not isinstance(told, End):
            told = await self._outbox.get()
            try:
                async with asyncio.timeout(WRITE_S):
                    await self._send(told)
            except TimeoutError:
                logger.info("a client that streams speech does not read; cut off")
                return
            except (OSError, WebSocketDisconnect):  # it is gone, which the reader may not know yet
                return

    async def _send(self, told: Told | End) -> None:
        if not isinstance(told, End):
            await self._socket.send_text(msgspec.json.encode(told).decode())
        elif told.code is not None:
            await self._socket.close(told.code, told.reason)

    async def _until_closing(self) -> None:
        await self._closing.wait()
        await self._tell(GOING_AWAY)
        if self._gone:
            self._leave(at_once=True)

    async def _until_expired(self) -> None:
        await lease_of(self._socket.scope).until_over()
        name = self._turn.id if self._turn is not None else None
        await self._tell(Fault(name, "token-expired", OVER, fatal=True))
        await self._tell(EXPIRED)

    # --- what comes

    async def _read(self) -> None:
        """Until the client goes, or says what ends the connection."""
        while (data := await self._receive()) is not None:
            try:
                await self._obey(parse_message(data))
            except ServerError as error:
                await self._tell(fault(error, self._turn.id if self._turn is not None else None))
                if isinstance(error, BadMessage) and error.fatal:
                    await self._tell(TOO_LARGE)
                    return
        await self._tell(GONE)

    async def _receive(self) -> str | bytes | None:
        """A frame's content; None where there are no more."""
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def _obey(self, message: Message) -> None:
        if self._state is State.OPEN and (self._turn is None or self._turn.over):
            self._state = State.OVER
        over, self._state = self._state is State.OVER, step(self._state, message)
        match message:
            case Begin():
                await self._begin(message)
            case Cancel(name):
                await self._cancel(name)
            case Interrupt():
                await self._interrupt()
            case _ if over or self._turn is None:
                pass
            case Append(samples):
                await self._turn.take(samples)
            case Mark() | Commit():
                await self._turn.put(message)

    async def _begin(self, begin: Begin) -> None:
        previous, self._turn = self._turn, None
        if previous is not None:
            await previous.handed_on.wait()
        self._turns = [turn for turn in self._turns if not turn.over]
        stream = self._find_stream()
        with asked_by(begin.traceparent):
            speech = stream.open_pcm(begin.sample_rate, begin.channels, start_ms=begin.start_ms)
        self._turn = PcmTurn(speech, begin, self._tell, self._gap_s)
        self._turns.append(self._turn)
        await self._turn.begin(self._group)

    async def _cancel(self, name: str | None) -> None:
        meant = [turn for turn in self._turns if not turn.over and name in (None, turn.id)]
        if not meant:
            raise BadMessage("not-begun", "nothing of this connection's is being spoken or waits")
        for turn in reversed(meant):  # the one that is spoken last, so that no other begins
            await turn.cancel()

    async def _interrupt(self) -> None:
        for turn in self._turns:
            turn.forget()
        done = silenced(await self._find_stream().interrupt())
        await self._tell({"type": "silenced", **msgspec.structs.asdict(done)})


@websocket(PATH)
async def stream_pcm(
    stream: FromPath[str], socket: Socket, live: Live, config: Config, cors: Sharing, closing: ClosingEvent
) -> None:
    """See the module. Refused as any other request is: 400 for another subprotocol, 401, 403, 404, 429, 503."""
    try:
        live.stream(stream)
        live.check_open()
        subprotocol = agreed_subprotocol(socket.scope["subprotocols"])
    except ServerError as error:
        await refuse(socket.send, error, cors.headers(socket.headers.get("origin")))
        return
    await socket.accept(subprotocol)
    begin(subject(socket.path_params, live))
    begin_trace(socket.headers)
    try:
        with closing.staying():
            await PcmConnection(socket, lambda: live.stream(stream), closing, config.pcm_gap_s).run()
    except* Exception as faults:  # the ASGI edge: who is connected learns that it is our fault, and no more
        logger.error("a connection that streams speech failed", exc_info=faults)
        await socket.close(1011, "the server made a mistake")


def agreed_subprotocol(offered: list[str]) -> str | None:
    """Ours, where any is offered. Errors: BadRequest where ours is not among them."""
    if not offered or SUBPROTOCOL in offered:
        return SUBPROTOCOL if offered else None
    raise BadRequest(f"the subprotocol here is {SUBPROTOCOL}; beside it there may be {OFFERED}TOKEN in base64url")


MESSAGES: Final = (Begin, Append, Mark, Commit, Cancel, Interrupt, Ready, Begun, Fault, Silenced)
ABOUT: Final = (
    f"Subprotocol `{SUBPROTOCOL}`; where tokens are set, scripts in browsers offer `{OFFERED}TOKEN` beside it, the "
    "token in base64url. Text frames are JSON objects with a `type`; binary frames are samples, signed 16 bit, little "
    "endian, interleaved.\n\n"
    "A client says `begin`, `append` (or binary frames), `mark`, `commit`, `cancel`, `interrupt`. It is told `ready`, "
    "`begun`, `credit`, `accepted`, `started`, `mark`, `underrun`, `resumed`, last of all `finished`, `interrupted` "
    "or `failed`; besides `silenced` (with what `Silenced` has) and `error` (`Fault`). What they mean, and how much "
    "may be sent when: docs/streaming-speech.md."
)


@route(PATH, http_method=READ, status_code=101, opt=describe(Operation(STREAMS, about=ABOUT, messages=MESSAGES)))
async def explain(stream: FromPath[str], live: Live) -> None:
    """A WebSocket for speech that is streamed in while it is made. Errors: 401, 404; 426 for a plain request."""
    live.stream(stream)
    raise UpgradeRequired("this is a WebSocket: docs/streaming-speech.md")


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def pcm_options() -> ASGIResponse:
    """What may be sent here."""
    return empty(204, [("Allow", "POST, GET, HEAD, OPTIONS"), ("Accept-Post", "audio/L16, audio/pcm")])


ROUTES = [pcm_options, stream_pcm, explain]
