"""Whole conversations over a WebSocket that is none: any messages in any order, answered as a plain reading has it."""

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_live import FakeStream
from whep_server.web.closing import Closing
from whep_server.web.pcm import PcmConnection
from whep_server.web.pcm_messages import Append, BadMessage, Begin, Cancel, Commit, Interrupt, Message, parse_message

TURN = "let others run"
BEGIN = '{"type":"begin","sample_rate":24000,"channels":%d}'
SAID = st.one_of(
    st.just(TURN),
    st.sampled_from([BEGIN % 1, BEGIN % 2, BEGIN % 3]),
    st.sampled_from(['{"type":"commit"}', '{"type":"cancel"}', '{"type":"interrupt"}', '{"type":"mark","name":"m"}']),
    st.sampled_from(['{"type":"append","audio":"AAECAw=="}', "nonsense", "[]", '{"type":"append"}']),
    st.integers(0, 9).map(lambda size: bytes(range(1, size + 1))),
    st.integers(1, 40).map(lambda size: bytes(size * 4)),
)


class FakeSocket:
    """What a client says, and what it is told."""

    def __init__(self, said: list[str | bytes]) -> None:
        self._said = deque([*said, *[TURN] * 20])  # all that it is owed is told before it goes
        self.told: list[dict] = []
        self.scope: dict[str, dict] = {"state": {}}

    async def receive(self) -> dict[str, object]:
        while self._said and self._said[0] == TURN:
            self._said.popleft()
            await asyncio.sleep(0)
        if not self._said:
            return {"type": "websocket.disconnect", "code": 1005}
        data = self._said.popleft()
        return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}

    async def send_text(self, text: str) -> None:
        self.told.append(json.loads(text))


@dataclass
class Reading:
    """A plain reading of docs/streaming-speech.md: what a conversation comes to where nothing is ever played."""

    errors: list[str] = field(default_factory=list)
    utterances: list[bytes] = field(default_factory=list)
    silenced: set[int] = field(default_factory=set)
    open: int | None = None
    frame: int = 2

    def hear(self, data: str | bytes) -> None:
        try:
            message = parse_message(data)
        except BadMessage as error:
            self.errors.append(error.name)
            return
        if isinstance(message, Begin):
            self._begin(message)
        elif isinstance(message, Cancel | Interrupt):
            self._silence(message)
        elif self.open is None:
            self.errors.append("not-begun")
        else:
            self._go_on(message, self.open)

    def _begin(self, message: Begin) -> None:
        if self.open is not None and self.open not in self.silenced:
            self.errors.append("already-begun")
            return
        self.open, self.frame = len(self.utterances), 2 * message.channels
        self.utterances.append(b"")

    def _silence(self, message: Message) -> None:
        everything = set(range(len(self.utterances)))
        if isinstance(message, Cancel) and self.silenced == everything:
            self.errors.append("not-begun")
        self.silenced = everything

    def _go_on(self, message: Message, utterance: int) -> None:
        over = utterance in self.silenced
        if isinstance(message, Commit):
            self.open = None
            if not over and not self.utterances[utterance]:
                self.errors.append("no-audio")
                self.silenced.add(utterance)
        elif isinstance(message, Append) and not over:
            if len(message.audio) % self.frame:
                self.errors.append("cut-sample")
            else:
                self.utterances[utterance] += message.audio


async def talk(said: list[str | bytes], stream: FakeStream) -> FakeSocket:
    socket = FakeSocket(said)
    async with asyncio.timeout(10):
        await PcmConnection(socket, lambda: stream, Closing(), 60.0).run()  # type: ignore[arg-type]
    return socket


@settings(deadline=None)
@given(st.lists(SAID, max_size=40))
def test_any_conversation_is_answered_as_it_reads_and_no_sample_is_lost(said):
    stream, reading = FakeStream("demo"), Reading()
    told = asyncio.run(talk(said, stream)).told
    for each in said:
        if each != TURN:
            reading.hear(each)
    assert [event["error"] for event in told if event["type"] == "error"] == reading.errors
    assert [event["utterance"] for event in told if event["type"] == "begun"] == [each.id for each in stream.pcm.made]
    assert len(stream.pcm.made) == len(reading.utterances)
    for index, (speech, meant) in enumerate(zip(stream.pcm.made, reading.utterances, strict=True)):
        if index in reading.silenced:
            assert speech.end == "interrupted" and meant.startswith(speech.heard)
        else:
            assert speech.heard == meant and (speech.committed or speech.end == "failed")
        last = [event["type"] for event in told if event.get("utterance") == speech.id and event["type"] != "error"][-1]
        assert (last == "interrupted") == (index in reading.silenced)
