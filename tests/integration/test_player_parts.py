"""The player's pure functions, called in the browser that runs them."""

import pytest

from tests.clients.visit import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def evaluate(visit: Visit, module: str, code: str) -> object:
    await visit.page.goto(f"{visit.server.base}/assets/player/{module}")  # a page without a script of its own
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


async def test_an_events_link_is_used_where_it_offers_the_type(visit: Visit):
    code = """(m) => ['; events="active,reconnect"', '; events="active"', '', '; events=" reconnect , x"']
        .map((events) => m.eventsUrl(`<stun:s>; rel="ice-server", </e/1>; rel="${m.EVENTS}"${events}`, "reconnect"))
        .concat(m.eventsUrl(null, "reconnect"), m.eventsUrl('</e>; rel="urn:else"', "reconnect"))"""
    assert await evaluate(visit, "exchange/links.js", code) == ["/e/1", None, "/e/1", "/e/1", None, None]


async def test_a_wait_that_the_server_asked_for_is_kept_and_a_guess_of_its_doubles(visit: Visit):
    code = """(m) => [[503, 3000, 0], [503, 3000, 2], [409, 3000, 0], [409, 3000, 1], [409, 20000, 3], [500, null, 1],
        [503, 0, 0]].map(([status, retryAfterMs, attempt]) => m.waitMs({ status, retryAfterMs }, attempt, () => 1))"""
    waits = [3000, 3000, 3000, 6000, 30000, 1000, 500]
    assert await evaluate(visit, "exchange/retry.js", code) == waits


async def test_an_unknown_status_counts_as_its_hundred(visit: Visit):
    code = "(m) => [418, 499, 422, 404, 409, 429, 500, 599, undefined].map((status) => m.triesFor({ status }))"
    assert await evaluate(visit, "exchange/retry.js", code) == [1, 1, 1, 3, 8, 8, 8, 8, 8]


async def test_a_restarted_answer_is_the_old_one_with_a_new_way(visit: Visit):
    code = """(m) => {
        const answer = ["v=0", "o=- 7 9007199254740993 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE a b",
            "a=ice-ufrag:old", "a=ice-pwd:oldoldoldoldoldoldoldold",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=setup:passive",
            "a=candidate:1 1 udp 1 127.0.0.1 1 typ host", "a=end-of-candidates",
            "m=video 0 UDP/TLS/RTP/SAVPF 0", "a=mid:c",
            "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:b", "a=ice-options:trickle", ""].join("\\r\\n");
        const fragment = ["a=ice-ufrag:new", "a=ice-pwd:newnewnewnewnewnewnewnew",
            "a=candidate:2 1 udp 1 127.0.0.1 2 typ host", ""].join("\\n");
        return [m.restartedAnswer(answer, fragment).split("\\r\\n"), m.restartedAnswer(answer, ""),
            m.restartedAnswer(answer, fragment.replace("new", "old"))];
    }"""
    answer, nothing, same = await evaluate(visit, "exchange/sdp.js", code)
    assert (nothing, same) == (None, None)
    new = ["a=ice-ufrag:new", "a=ice-pwd:newnewnewnewnewnewnewnew"]
    assert answer == [
        *["v=0", "o=- 7 9007199254740994 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE a b"],
        *["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=setup:passive", *new],
        "a=candidate:2 1 udp 1 127.0.0.1 2 typ host",
        *["m=video 0 UDP/TLS/RTP/SAVPF 0", "a=mid:c"],
        *["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:b", "a=ice-options:trickle", *new],
        "",
    ]


async def test_the_level_advises_without_nagging(visit: Visit):
    code = """(m) => {
        const tone = (size) => Float32Array.from({ length: 960 }, (_, n) => size * Math.sin(n / 8));
        const told = (...stretches) => {
            const meter = new m.LevelMeter();
            let [now, reading] = [0, null];
            for (const [seconds, size] of stretches) {
                for (const end = now + seconds * 1000; now < end; now += 20) reading = meter.feed(tone(size), now);
            }
            return reading.advice;
        };
        return [told([2, 0]), told([5, 0]), told([5, 0.01]), told([5, 0.2]), told([5, 1.2]),
            told([5, 0.2], [15, 0.005]), told([5, 0.2], [25, 0.01]), told([5, 0.2], [60, 0])];
    }"""
    advice = ["", "silent", "quiet", "", "clipping", "", "quiet", ""]
    assert await evaluate(visit, "voice/level.js", code) == advice


async def test_the_meter_rises_at_once_and_falls_for_the_eye(visit: Visit):
    code = """(m) => {
        const meter = new m.LevelMeter();
        const full = new Float32Array(480).fill(0.5), none = new Float32Array(480);
        const readings = [meter.feed(none, 0), meter.feed(full, 20), meter.feed(none, 270), meter.feed(none, 3000)];
        return readings.map(({ level, peak }) => [level, peak].map((part) => Math.round(part * 100)));
    }"""
    assert await evaluate(visit, "voice/level.js", code) == [[0, 0], [90, 90], [73, 90], [0, 0]]


async def test_what_is_in_the_way_is_told_in_words(visit: Visit):
    code = """(m) => [["NotAllowedError"], ["OverconstrainedError"], ["NotReadableError"], ["Oddity"]]
        .map(([name]) => m.deviceProblem(new DOMException("so it says", name)).title)
        .concat([401, 403, 404, 410, 409, 503, 418, 500, undefined]
            .map((status) => m.serverProblem({ status, reason: "why" }, "Nova"))
            .map(({ kind, title }) => `${kind}: ${title}`))"""
    assert await evaluate(visit, "voice/problems.js", code) == [
        "The microphone is blocked",
        "No microphone was found",
        "The microphone can’t be opened",
        "The microphone can’t be opened",
        "token: A token is needed to speak here",
        "token: This token does not allow you to speak here",
        "server: Nova is not on air right now",
        "server: Nova is not on air right now",
        "busy: Nova can’t take your voice right now",
        "server: There is no room right now",
        "server: The server did not take your voice",
        "server: Something went wrong at the server",
        "server: The connection was lost",
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
                const stayed = states.state === state;
                if (moved !== known || !(states.state in table) || !(moved || stayed)) left.push([state, input]);
            }
        }
        return left;
    })"""
    assert await evaluate(visit, "states.js", code) == []
    assert await evaluate(visit, "states.js", "(m) => Object.keys(m.FACE).filter((s) => !(s in m.FACE_WORDS))") == []


REACTION = """(m, script) => {
    const reaction = new m.Reaction();
    script(reaction, (from, to) => { for (let at = from; at <= to; at += 5) reaction.heard(at); });
    const { firstLipMs, firstSoundMs, shutLipMs, silenceMs } = reaction;
    return [firstLipMs, firstSoundMs, shutLipMs, silenceMs];
}"""


@pytest.mark.parametrize(
    ("script", "readings"),
    [
        # the reply to the request comes last of all
        ("r.told({ utterance: 'u', state: 'started', media_time_s: 7 }); r.seen(6.96, 1200); r.seen(7, 1240); "
         "loud(1250, 1300); r.sent({ sentAt: 1000, utterance: 'u' }); r.listened(1300);", [240, 250, None, None]),
        # the picture comes before the event, frames and packets do not begin at the same time
        ("r.sent({ sentAt: 1000, utterance: 'u' }); r.seen(6.99, 1230); "
         "r.told({ utterance: 'u', state: 'started', media_time_s: 7 });", [230, None, None, None]),
        # media time that RTP has wrapped
        ("r.sent({ sentAt: 0, utterance: 'u' }); r.told({ utterance: 'u', state: 'started', media_time_s: 47800 }); "
         "r.seen(47800 - 2 ** 32 / 90000, 99);", [99, None, None, None]),
        # another one's speech, and sound that was there before
        ("r.told({ utterance: 'x', state: 'started', media_time_s: 7 }); r.seen(8, 1100); loud(900, 1100); "
         "r.sent({ sentAt: 1000, utterance: 'u' }); r.listened(1100);", [None, None, None, None]),
        # a stop: the last sound counts, and only once it has been quiet for long
        ("loud(500, 1090); r.stopped({ stoppedAt: 1000, utterance: 'u' }); r.listened(1400); "
         "r.told({ utterance: 'u', state: 'interrupted', media_time_s: 9 }); r.seen(8.96, 1070); r.seen(9, 1110);",
         [None, None, 110, None]),
        ("loud(500, 1090); r.stopped({ stoppedAt: 1000, utterance: 'u' }); r.listened(1490);", [None, None, None, 90]),
        ("loud(100, 400); r.stopped({ stoppedAt: 1000, utterance: 'u' }); r.listened(2000);", [None] * 4),
    ],
)  # fmt: skip
async def test_how_quickly_the_avatar_answers_is_told_from_what_is_seen_and_heard(visit: Visit, script, readings):
    code = f"(m) => ({REACTION})(m, (r, loud) => {{ {script} }})"
    assert await evaluate(visit, "reaction.js", code) == readings


async def test_loud_blocks_are_found_to_five_milliseconds(visit: Visit):
    code = """(m) => {
        const samples = new Float32Array(4800);
        samples[2399] = 0.02;
        return [m.loudBlocks(samples, 48000), m.loudBlocks(samples.map(() => 0.009), 48000)];
    }"""
    assert await evaluate(visit, "senses.js", code) == [[0.05], []]


async def test_the_clock_of_the_pictures_is_read_from_the_answer(visit: Visit):
    code = """(m) => ["m=audio 9 x 1\\r\\na=mediaclk:direct=5\\r\\nm=video 9 x 2\\r\\na=mediaclk:direct=4294967295",
        "m=audio 9 x 1\\r\\na=mediaclk:direct=5\\r\\nm=video 9 x 2\\r\\na=mid:v\\r\\n", ""].map(m.videoOrigin)"""
    assert await evaluate(visit, "senses.js", code) == [4_294_967_295, None, None]


async def test_a_text_is_called_by_its_beginning(visit: Visit):
    code = """(m) => ["Hello", " two\\n lines ", "x".repeat(40), "Good morning to all of you out there",
        "🙂".repeat(33)].map((text) => m.brief(text))"""
    assert await evaluate(visit, "words.js", code) == [
        "Hello",
        "two lines",
        "x" * 32 + "…",
        "Good morning to all of you out…",
        "🙂" * 32 + "…",
    ]
