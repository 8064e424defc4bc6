"""Chromium on the built-in player, where media may have to take a relay. Prints one JSON object.

    python -m tests.clients.relayed_viewer BASE TURN_HOST PICTURES [relay]

Plays so many pictures, with ``relay`` under that transport policy; and says over which pair of candidates they came.
"""

import asyncio
import json
import sys

from tests.clients.remote_player import playing, shown

POLICY = """
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(configuration) {
    super({ ...configuration, iceTransportPolicy: "relay" });
  }
};
"""
PAIR = """(async () => {
  const entries = await __probe.connections.at(-1).getStats();
  const transport = [...entries.values()].find((entry) => entry.type === "transport");
  const pair = entries.get(transport.selectedCandidatePairId);
  const [local, remote] = [entries.get(pair.localCandidateId), entries.get(pair.remoteCandidateId)];
  return {
    local: local.candidateType,
    remote: remote.candidateType,
    relay_protocol: local.relayProtocol ?? null,
    turn: local.url ?? null,
    remote_address: [remote.address, remote.port],
  };
})()"""


async def watch(base: str, turn_host: str, pictures: int, script: str) -> dict[str, object]:
    """Play, and look."""
    async with playing(base, turn_host, script=script) as page:
        await page.evaluate("void __probe.record()")
        await shown(page, pictures)
        reading = await page.evaluate("__probe.read()")
        pair = await page.evaluate(PAIR)
        errors = await page.evaluate("__probe.errors")
    return {**pair, "video": reading["video"]["framesDecoded"], "errors": errors}


if __name__ == "__main__":
    base, turn_host, pictures, *policy = sys.argv[1:]
    print(json.dumps(asyncio.run(watch(base, turn_host, int(pictures), POLICY if policy else ""))))
