"""The player's pure functions, called in the browser that runs them."""

import pytest

from tests.clients.visit import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def evaluate(visit: Visit, module: str, code: str) -> object:
    await visit.open()
    return await visit.page.evaluate(f"import('/assets/player/{module}').then((m) => ({code})(m))")


async def test_waits_double_up_to_a_limit_and_are_spread(visit: Visit):
    code = "(m) => [0, 1, 2, 3, 4, 5, 9].map((n) => [m.backoffMs(n, () => 0), m.backoffMs(n, () => 1)])"
    assert await evaluate(visit, "exchange/retry.js", code) == [
        [250, 500],
        [500, 1000],
        [1000, 2000],
        [2000, 4000],
        [4000, 8000],
        [4000, 8000],
        [4000, 8000],
    ]


async def test_retry_after_is_read_in_both_forms_and_kept_within_reason(visit: Visit):
    code = """(m) => [null, "", "3", " 0 ", "999", "soon", "Sun, 06 Nov 1994 08:49:37 GMT"]
        .map((text) => m.retryAfterMs(text, Date.UTC(1994, 10, 6, 8, 49, 30)))"""
    assert await evaluate(visit, "exchange/retry.js", code) == [None, None, 3000, 0, 30000, None, 7000]


async def test_link_headers_of_all_kinds_of_servers_are_read(visit: Visit):
    code = """(m) => m.iceServers('<stun:s.example>; rel="ice-server", ' +
        '<turn:t.example:3478?transport=udp>; rel=ice-server; username="a"; ' +
        'credential="x,y;z"; credential-type="password", ' +
        '<https://x.example/e>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,layers"')"""
    assert await evaluate(visit, "exchange/links.js", code) == [
        {"urls": "stun:s.example"},
        {
            "urls": "turn:t.example:3478?transport=udp",
            "username": "a",
            "credential": "x,y;z",
            "credentialType": "password",
        },
    ]


async def test_every_input_in_every_state_is_decided_by_the_tables(visit: Visit):
    code = """(m) => [m.FACE, m.VOICE].flatMap((table) => {
        const inputs = [...new Set(Object.values(table).flatMap((row) => Object.keys(row)))];
        const left = [];
        for (const state of Object.keys(table)) {
            for (const input of inputs) {
                const states = new m.States(table, state);
                const moved = states.step(input);
                const known = table[state][input] !== undefined;
                if (moved !== known || !(states.state in table) || (!moved && states.state !== state)) left.push([state, input]);
            }
        }
        return left;
    })"""
    assert await evaluate(visit, "states.js", code) == []
    assert await evaluate(visit, "states.js", "(m) => Object.keys(m.FACE).filter((s) => !(s in m.FACE_WORDS))") == []
