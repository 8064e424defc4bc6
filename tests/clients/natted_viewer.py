"""An aiortc player that is told which of the server's STUN and TURN servers to use. Prints one JSON object.

    python -m tests.clients.natted_viewer WHEP_URL TURN_HOST PICTURES SECONDS [SERVER ...]

A SERVER is how a URL begins or ends, as ``stun:`` or ``transport=tcp``: those that an OPTIONS request tells of and that
fit are used, with the login it tells; or another TURN server's whole URL, with the same login. Reported are the
pictures decoded, the pair of candidates that media took, as the player and as the server see it, and under which ports
two ports of TURN_HOST see one socket of this machine.
"""

import asyncio
import json
import re
import socket
import sys
from collections.abc import Sequence
from urllib.parse import urljoin

import httpx
from aioice import stun
from aiortc import MediaStreamTrack, RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from conformance.web_links import parse_links
from tests.clients.coturn import OTHER_PORT, PORT
from tests.clients.waiting import until

ANSWER_S = 5.0
WAYS = re.compile(r'candidate_pairs\{local="(\w+)",protocol="udp",remote="(\w+)"\} 1')
"""Of the server's metrics: the pair of the one viewer there is."""


async def ice_servers(client: httpx.AsyncClient, whep: str, chosen: Sequence[str]) -> list[RTCIceServer]:
    """Those of the server's that are to be used."""
    told = (await client.options(whep)).raise_for_status().headers.get("Link", "")
    links = [each for each in parse_links(told) if each.rel == "ice-server"]
    told_of = {each.target: (each.get("username"), each.get("credential")) for each in links}
    login = next((each for url, each in told_of.items() if url.startswith("turn:")), (None, None))
    fit = {url: each for url, each in told_of.items() if url.startswith(tuple(chosen)) or url.endswith(tuple(chosen))}
    fit |= {url: login for url in chosen if url.startswith("turn:") and url not in told_of}
    return [RTCIceServer(url, *each) for url, each in fit.items()]


def ports_seen(host: str) -> list[int]:
    """The port of one socket of ours, as each of two ports of a STUN server sees it; empty where no datagram passes."""
    seen: list[int] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(ANSWER_S)
        asker.bind(("0.0.0.0", 0))
        for port in (PORT, OTHER_PORT):
            asker.sendto(bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)), (host, port))
            try:
                answer = stun.parse_message(asker.recv(2048))
            except TimeoutError:
                return []
            seen.append(answer.attributes["XOR-MAPPED-ADDRESS"][1])
    return seen


async def watch(whep: str, pictures: int, seconds: float, chosen: Sequence[str]) -> dict[str, object]:
    """Play until so many pictures are decoded."""
    decoded: list[int] = []

    async def count(track: MediaStreamTrack) -> None:
        try:
            while True:
                decoded.append((await track.recv()).pts)
        except MediaStreamError:
            return

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client, asyncio.TaskGroup() as group:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=await ice_servers(client, whep, chosen)))
        receiver = connection.addTransceiver("video", "recvonly").receiver
        connection.on("track", lambda track: group.create_task(count(track)))
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        response = await client.post(whep, content=offer, headers={"Content-Type": "application/sdp"})
        assert response.status_code == 201, response.text
        try:
            await connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
            await until(lambda: len(decoded) >= pictures, seconds, f"{pictures} pictures; the answer:\n{response.text}")
            pair = receiver.transport.transport._connection._nominated[1]
            metrics = (await client.get(urljoin(whep, "/metrics"))).raise_for_status().text
        finally:
            await connection.close()
    return {
        "video": len(decoded),
        "local": pair.local_candidate.type,
        "remote": pair.remote_candidate.type,
        "remote_address": list(pair.remote_addr),
        "servers_view": WAYS.findall(metrics),
        "server_offers": [list(each.split()[4:8:3]) for each in response.text.splitlines() if "a=candidate" in each],
    }


async def main(whep: str, turn_host: str, pictures: str, seconds: str, *chosen: str) -> None:
    looking = asyncio.to_thread(ports_seen, turn_host)
    report, ports = await asyncio.gather(watch(whep, int(pictures), float(seconds), chosen), looking)
    print(json.dumps(report | {"ports_seen": ports}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
