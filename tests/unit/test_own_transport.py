"""What an ICE session sends through, on the server's event loop: datagrams arrive, nobody keeps whom they went to."""

import asyncio
import gc
import socket
from collections import OrderedDict
from collections.abc import Coroutine

import uvloop

from whep_server.rtc.generation import Generation
from whep_server.rtc.own_transport import OwnTransport
from whep_server.rtc.ports import EachItsOwn

HOST = "127.0.0.1"
PEERS = 20


def on_uvloop(doing: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(doing)


def peer() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(5)
    opened.bind((HOST, 0))
    return opened


def remembered(address: tuple[str, int]) -> bool:
    """Whether uvloop knows an address by heart: its cache is an ordered dictionary with addresses for keys."""
    gc.unfreeze()  # what servers of other tests have put aside is not looked at otherwise
    return any(type(each) is OrderedDict and address in each for each in gc.get_objects())


async def host_transport() -> asyncio.DatagramTransport:
    """That of the only host candidate of an ICE session."""
    generation = Generation(lambda _: None, ice_controlling=False)
    opened = [each async for each in EachItsOwn().open(generation, lambda _: None, [HOST])]
    return opened[0].transport


def test_nobody_keeps_to_whom_datagrams_went():
    async def send() -> None:
        transport = await host_transport()
        assert isinstance(transport, OwnTransport)
        peers = [peer() for _ in range(PEERS)]
        for each in peers:
            transport.sendto(b"datagram", each.getsockname())
            assert each.recvfrom(100) == (b"datagram", transport.get_extra_info("sockname"))
            assert not remembered(each.getsockname())
            each.close()
        transport.close()

    on_uvloop(send())


def test_uvloop_itself_still_does():
    """Else there is no need for a transport of ours, or the test above sees nothing."""

    async def send() -> None:
        loop, receiver = asyncio.get_running_loop(), peer()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HOST, 0))
        transport.sendto(b"datagram", receiver.getsockname())
        assert remembered(receiver.getsockname())
        transport.close()
        receiver.close()

    on_uvloop(send())


def test_what_is_sent_after_the_end_is_lost_and_harms_nobody():
    async def send() -> None:
        transport, receiver = await host_transport(), peer()
        transport.close()
        assert transport.is_closing()
        transport.sendto(b"datagram", receiver.getsockname())
        await asyncio.sleep(0)
        transport.sendto(b"datagram", receiver.getsockname())
        receiver.setblocking(False)
        try:
            receiver.recv(100)
        except BlockingIOError:
            return
        finally:
            receiver.close()
        raise AssertionError("it was sent")

    on_uvloop(send())
