"""The parts of the pages that play chunks, called in the browser that runs them."""

import pytest

from tests.clients.chunk_files import chunk_file
from tests.clients.visit import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = "/assets/player/mse"
ANNOUNCE = """const url = (index) => `/chunks/a_req_01234567/chunk_${String(index).padStart(4, "0")}.mp4`;
    const chunk = (index, total_chunks = 5) => ({ index, url: url(index), total_chunks });"""
ORDERED = """
    const playlist = new m.Playlist();
    const asked = [], held = new Map();
    const fetchChunk = (address) => {
        asked.push(Number(address.slice(-8, -4)));
        return new Promise((resolve, reject) => held.set(asked.at(-1), { resolve, reject }));
    };
    const got = [];
    const all = (async () => { for await (const bytes of m.inOrder(playlist, fetchChunk)) got.push(bytes); })();
    const turn = () => new Promise((resolve) => setTimeout(resolve));"""


async def evaluate(visit: Visit, module: str, code: str, argument: object = None) -> object:
    await visit.page.goto(f"{visit.server.base}{PARTS}/{module}")  # a page without a script of its own
    body = f"(argument) => import('{PARTS}/{module}').then(async (m) => {{ {code} }})"
    return await visit.page.evaluate(body, argument)


async def test_chunks_come_out_in_order_whichever_is_there_first(visit: Visit):
    code = f"""{ANNOUNCE} {ORDERED}
        for (const index of [0, 1, 2, 3, 4]) playlist.announce(chunk(index));
        playlist.finish(5); // before any of them is there
        await turn();
        const first = [...asked];
        for (const index of [2, 1]) held.get(index).resolve(index);
        await turn();
        const early = [...got];
        for (const index of [0, 4, 3]) {{ await turn(); await turn(); held.get(index)?.resolve(index); }}
        await turn();
        held.get(4).resolve(4);
        await all;
        return [first, early, got, asked];"""
    assert await evaluate(visit, "playlist.js", code) == [[0, 1, 2], [], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]


async def test_chunks_are_fetched_as_they_are_announced(visit: Visit):
    code = f"""{ANNOUNCE} {ORDERED}
        const steps = [];
        for (const index of [0, 1]) {{
            playlist.announce(chunk(index, 2));
            await turn();
            steps.push([...asked]);
        }}
        held.get(0).resolve(0);
        held.get(1).resolve(1);
        await all; // the number of chunks is known without `complete`
        return [steps, got];"""
    assert await evaluate(visit, "playlist.js", code) == [[[0], [0, 1]], [0, 1]]


async def test_what_was_not_announced_is_found_by_its_name(visit: Visit):
    code = f"""{ANNOUNCE}
        const told = (...messages) => {{
            const playlist = new m.Playlist();
            for (const message of messages) message === "complete" ? playlist.finish(2) : playlist.announce(message);
            return [playlist.first, [0, 1, 2, 3, 4].map((index) => playlist.url(index)?.slice(-14) ?? null),
                playlist.isOver(4), playlist.isOver(5)];
        }};
        const odd = {{ index: 2, url: "/elsewhere/2", total_chunks: 3 }};
        return [told(chunk(0), chunk(2), "complete"), told(chunk(3), chunk(1), chunk(3)),
            told(chunk(0, 1), odd, "complete"), told({{ ...chunk(1), total_chunks: null }}, "complete")];"""
    names = [f"chunk_{index:04d}.mp4" for index in range(5)]
    assert await evaluate(visit, "playlist.js", code) == [
        [0, names, False, True],
        [1, [None, names[1], None, names[3], None], False, True],
        [0, [names[0], names[1], "/elsewhere/2", None, None], True, True],
        [1, [None, names[1], None, None, None], True, True],
    ]


async def test_a_broken_off_utterance_ends_with_what_is_announced(visit: Visit):
    code = f"""{ANNOUNCE} {ORDERED}
        playlist.announce(chunk(0));
        await turn();
        playlist.cut();
        held.get(0).resolve(0);
        await all;
        const empty = new m.Playlist();
        empty.finish(0);
        for await (const bytes of m.inOrder(empty, fetchChunk)) got.push(bytes);
        return got;"""
    assert await evaluate(visit, "playlist.js", code) == [0]


async def test_a_chunk_says_which_codecs_it_needs(visit: Visit):
    own = chunk_file(0, 0.1)
    at = own.index(b"avcC")
    raised = bytearray(own)
    raised[at + 5 : at + 8] = bytes([0x42, 0xE0, 0x1F])
    silent = own.replace(b"mp4a", b"none")
    code = "return argument.map((bytes) => m.mediaType(new Uint8Array(bytes)));"
    profile = own[at + 5 : at + 8].hex().upper()
    assert await evaluate(visit, "codecs.js", code, [list(data) for data in (own, raised, silent, b"no film")]) == [
        f'video/mp4; codecs="avc1.{profile},mp4a.40.2"',
        'video/mp4; codecs="avc1.42E01F,mp4a.40.2"',
        f'video/mp4; codecs="avc1.{profile}"',
        'video/mp4; codecs="avc1.42E01E,mp4a.40.2"',
    ]


async def test_events_in_a_response_are_read_however_it_is_cut(visit: Visit):
    text = ': hello\n\ndata: {"a":1}\n\nid: 7\ndata:{"b":\ndata: "ü"}\r\n\r\nevent: x\n\ndata: {"c":3}\n\n'
    code = """const bytes = new TextEncoder().encode(argument);
        const read = async (size) => {
            const body = new ReadableStream({ start(controller) {
                for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
                controller.close();
            } });
            const found = [];
            for await (const message of m.messages(body)) found.push(message);
            return found;
        };
        return [await read(1), await read(5), await read(1000)];"""
    found = [{"a": 1}, {"b": "ü"}, {"c": 3}]
    assert await evaluate(visit, "messages.js", code, text) == [found] * 3


async def test_a_download_is_tried_again_so_often_and_not_more(visit: Visit):
    code = """let asked = 0, statuses = [];
        globalThis.fetch = async () => {
            asked += 1;
            const status = statuses.length > 1 ? statuses.shift() : statuses[0];
            if (status === 0) throw new TypeError("no network");
            return new Response(status === 200 ? new Uint8Array([7]) : "", { status });
        };
        const waits = [];
        const wait = async (ms) => waits.push(ms);
        const ask = async (...given) => {
            [asked, statuses] = [0, given];
            const got = m.download("/x", { wait, random: () => 1 });
            return [await got.then(([byte]) => byte, (error) => error.message), asked];
        };
        return [await ask(200), await ask(503, 0, 200), await ask(500), await ask(0), await ask(404),
            waits.slice(0, 5)];"""
    assert await evaluate(visit, "download.js", code) == [
        [7, 1],
        [7, 3],
        ["status 500", 4],
        ["no answer", 4],
        ["status 404", 1],
        [500, 1000, 500, 1000, 2000],
    ]
