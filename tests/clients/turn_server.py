"""A TURN server over UDP (RFC 8656) in the event loop of a test: one user; channels only, which is what aioice uses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from struct import Struct
from typing import cast

from aioice import stun
from aioice.turn import make_integrity_key

USER, PASSWORD, REALM, NONCE = "user", "password", "test", b"nonce"
CHANNEL = Struct("!HH")
Address = tuple[str, int]


@dataclass
class Allocation(asyncio.DatagramProtocol):
    """A client's relayed address; its peers are those that it has bound a channel to."""

    server: "TurnServer"
    client: Address
    channels: dict[int, Address] = field(default_factory=dict)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Address) -> None:
        for number, peer in self.channels.items():
            if peer == address:
                self.server.relayed += 1
                self.server.transport.sendto(CHANNEL.pack(number, len(data)) + data, self.client)


@dataclass
class TurnServer(asyncio.DatagramProtocol):
    """See the module."""

    allocations: dict[Address, Allocation] = field(default_factory=dict)
    relayed: int = 0
    """Datagrams of peers that went on to a client."""
    group: asyncio.TaskGroup | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Address) -> None:
        if data[0] >= 64:  # RFC 7983: channel data
            number, length = CHANNEL.unpack_from(data)
            allocation = self.allocations[address]
            allocation.transport.sendto(data[CHANNEL.size :][:length], allocation.channels[number])
            return
        assert self.group is not None
        self.group.create_task(self._answer(stun.parse_message(data), address))

    async def _answer(self, request: stun.Message, address: Address) -> None:
        key = make_integrity_key(USER, REALM, PASSWORD)
        if not request.check_message_integrity(key):
            response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
            response.attributes |= {"ERROR-CODE": (401, "Unauthorized"), "REALM": REALM, "NONCE": NONCE}
            self.transport.sendto(bytes(response), address)
            return
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["LIFETIME"] = 600
        if request.message_method is stun.Method.ALLOCATE:
            allocation = await self._allocate(address)
            response.attributes["XOR-RELAYED-ADDRESS"] = allocation.transport.get_extra_info("sockname")
            response.attributes["XOR-MAPPED-ADDRESS"] = address
        elif request.message_method is stun.Method.CHANNEL_BIND:
            peer = request.attributes["XOR-PEER-ADDRESS"]
            self.allocations[address].channels[request.attributes["CHANNEL-NUMBER"]] = peer
        elif request.attributes.get("LIFETIME") == 0:
            self.allocations.pop(address).transport.close()
        response.add_message_integrity(key)
        self.transport.sendto(bytes(response), address)

    async def _allocate(self, address: Address) -> Allocation:
        loop = asyncio.get_running_loop()
        _, allocation = await loop.create_datagram_endpoint(
            lambda: Allocation(self, address), local_addr=("127.0.0.1", 0)
        )
        self.allocations[address] = allocation
        return allocation


@asynccontextmanager
async def turn_server() -> AsyncIterator[tuple[TurnServer, str]]:
    """A server, and its URL."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(TurnServer, local_addr=("127.0.0.1", 0))
    async with asyncio.TaskGroup() as group:
        server.group = group
        try:
            yield server, "turn:{}:{}?transport=udp".format(*transport.get_extra_info("sockname"))
        finally:
            for allocation in server.allocations.values():
                allocation.transport.close()
            transport.close()
