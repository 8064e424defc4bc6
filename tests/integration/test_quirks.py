"""Quirks of clients at the HTTP surface: headers, statuses, bodies. ``q12`` in a name: quirk Q12.

Those of joining and leaving are in ``test_quirks_of_joining.py``, those of the text of an offer alone in
``tests/unit/test_client_offers.py``.
"""

import logging
import re
from urllib.parse import urljoin

import pytest

from tests.integration.http_server import assert_problem
from tests.integration.joining import FRAGMENT, SDP, Answered, live_server, post, trickle, viewers
from tests.strategies import protocol_of, texts, trickling_clients

STUN = {"stun_urls": "stun:192.0.2.1:9"}
PREFLIGHT = {"Origin": "https://site.example", "Access-Control-Request-Method": "PATCH"}


def offered(client: str) -> str:
    return texts("*.sdp")[client]


def trickled(client: str) -> str:
    return texts("*.sdpfrag")[client]


# --- If-Match, ETag, Authorization


@pytest.mark.parametrize("client", trickling_clients())
async def test_q12_q13_candidates_are_taken_with_no_if_match_or_any_wildcard(client):
    async with live_server() as http:
        created = await post(http, offered(client), protocol_of(offered(client)))
        assert created.status_code == 201, created.text
        location, tag = created.headers["location"], created.headers["etag"]
        for given in ({}, {"If_Match": "*"}, {"If_Match": '"*"'}, {"If_Match": tag}):
            patched = await trickle(http, location, trickled(client), **given)
            assert (patched.status_code, patched.content) == (204, b""), given
            assert "etag" not in patched.headers  # nothing restarted: the tag from the 201 still holds
        assert_problem(await trickle(http, location, trickled(client), If_Match='"stale"'), 412)


async def test_q12_strict_mode_asks_medooze_whip_whep_1_2_0_for_if_match():
    client = "chromium-156-whip-whep-1.2.0-whep"
    async with live_server(strict=True) as http:
        created = await post(http, offered(client))
        location, tag = created.headers["location"], created.headers["etag"]
        assert_problem(await trickle(http, location, trickled(client)), 428)
        assert (await trickle(http, location, trickled(client), If_Match=tag)).status_code == 204
        assert (await http.delete(location)).status_code == 200


@pytest.mark.parametrize("wildcard", ["*", '"*"'])
async def test_q14_a_restart_takes_the_wildcard_bare_from_medooze_and_quoted_from_meetecho(wildcard):
    client = "chromium-156-whip-whep-1.2.0-whep"
    fresh = re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:Zk3v", trickled(client))
    fresh = re.sub(r"a=ice-pwd:\S+", "a=ice-pwd:Qw7xYt2pQw7xYt2pQw7xYt2p", fresh)
    async with live_server() as http:
        created = await post(http, offered(client))
        location, tag = created.headers["location"], created.headers["etag"]
        restarted = await trickle(http, location, fresh, If_Match=wildcard)
        assert restarted.status_code == 200, restarted.text
        assert restarted.headers["content-type"] == FRAGMENT["Content-Type"]
        assert restarted.headers["etag"] not in ("", tag)
        before, after = Answered.read(created.text), Answered.read(restarted.text)
        assert before.ufrag != after.ufrag and before.password != after.password
        assert_problem(await trickle(http, location, fresh, If_Match=tag), 412)
        assert (await trickle(http, location, fresh, If_Match=restarted.headers["etag"])).status_code == 204


async def test_q15_eyevinn_whip_web_client_1_1_7_sends_the_tag_as_etag():
    client = "chromium-156-eyevinn-whip-web-client-1.1.7-whip"
    async with live_server() as http:
        created = await post(http, offered(client), "whip")
        location = created.headers["location"]
        patched = await trickle(http, location, trickled(client), ETag=created.headers["etag"])
        assert patched.status_code == 204
        preflight = await http.options(location, headers=PREFLIGHT | {"Access-Control-Request-Headers": "etag"})
        assert "etag" in re.split(r",\s*", preflight.headers["access-control-allow-headers"].lower())


@pytest.mark.parametrize("given", ["the tag", '"stale"', "*", None])
async def test_q16_meetechos_client_sends_if_match_with_delete(given):
    async with live_server() as http:
        created = await post(http, offered("meetecho-simple-whip-client-whip"), "whip")
        value = created.headers["etag"] if given == "the tag" else given
        headers = {} if value is None else {"If-Match": value}
        assert (await http.delete(created.headers["location"], headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("client", "setting"),
    [
        ("mediamtx-reader-2026-08-whep", "watch_token"),
        ("chromium-156-eyevinn-whip-web-client-1.1.7-whip", "publish_token"),
    ],
)
async def test_q17_players_that_forget_the_token_at_the_session_are_known_by_its_url(client, setting):
    async with live_server(**{setting: "secret"}) as http:
        assert_problem(await post(http, offered(client), protocol_of(offered(client))), 401)
        created = await post(http, offered(client), protocol_of(offered(client)), Authorization="Bearer secret")
        location = created.headers["location"]
        assert (await trickle(http, location, trickled(client))).status_code == 204
        assert_problem(await trickle(http, location, trickled(client), Authorization="Bearer wrong"), 401)
        assert (await http.delete(location)).status_code == 200


@pytest.mark.parametrize("setting", ["watch_token", "publish_token"])
async def test_q17_strict_mode_wants_the_token_at_the_session_too(setting):
    client = "chromium-156-whip-whep-1.2.0-whep" if setting == "watch_token" else "obs-32-whip"
    async with live_server(strict=True, **{setting: "secret"}) as http:
        created = await post(http, offered(client), protocol_of(offered(client)), Authorization="Bearer secret")
        location, headers = created.headers["location"], {"Authorization": "Bearer secret"}
        refused = await http.delete(location)
        assert_problem(refused, 401)
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        assert (await http.delete(location, headers=headers)).status_code == 200


@pytest.mark.parametrize("given", ["secret", "Bearer secret", "bearer secret", "BEARER  secret"])
async def test_q18_the_token_counts_with_or_without_its_scheme(given):
    """Eyevinn's player, LiveKit's and Broadcast Box's users put the bare key there."""
    async with live_server(watch_token="secret") as http:
        assert (
            await post(http, offered("chromium-156-eyevinn-webrtc-player-0.13.0-whep"), Authorization=given)
        ).status_code == 201


@pytest.mark.parametrize("given", ["Bearer undefined", "undefined", "Basic dXNlcjpwYXNz", ""])
async def test_q18_without_a_token_configured_nobody_looks_at_authorization(given):
    """Eyevinn whip-web-client 1.1.7 without a key sends ``Bearer undefined``."""
    client = "chromium-156-eyevinn-whip-web-client-1.1.7-whip"
    async with live_server() as http:
        created = await post(http, offered(client), "whip", Authorization=given)
        assert created.status_code == 201
        assert (await http.delete(created.headers["location"], headers={"Authorization": given})).status_code == 200
    async with live_server(publish_token="secret") as http:
        assert_problem(await post(http, offered(client), "whip", Authorization=given), 401)


async def test_q19_a_token_in_the_query_is_taken_and_never_logged_or_sent_back(caplog):
    async with live_server(watch_token="secret-of-the-iframe") as http:
        with caplog.at_level(logging.DEBUG):
            created = await http.post(
                "/whep/demo?token=secret-of-the-iframe", content=offered("safari-17-whep"), headers=SDP
            )
            wrong = await http.post("/whep/demo?token=wrong", content=offered("safari-17-whep"), headers=SDP)
        assert created.status_code == 201
        assert "?" not in created.headers["location"] and "secret-of" not in str(created.headers) + created.text
        assert_problem(wrong, 401)
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in ours if "secret-of-the-iframe" in line]


# --- OPTIONS and Link


async def test_q20_options_that_is_no_preflight_tells_of_ice_servers_and_nothing_else():
    """MediaMTX's reader sends it with the token, Eyevinn's whip-web-client reads Allow-Methods to decide on trickle."""
    async with live_server(**STUN, publish_token="secret") as http:
        for protocol, headers in (("whep", {}), ("whip", {"Authorization": "Bearer secret"})):
            plain = await http.options(f"/{protocol}/demo", headers=headers)
            assert plain.status_code == 204 and plain.content == b""
            assert plain.headers["accept-post"] == "application/sdp"
            assert "PATCH" in plain.headers["access-control-allow-methods"]
            assert "access-control-allow-methods" in plain.headers["access-control-expose-headers"].lower()
            assert plain.headers.get_list("link") == ['<stun:192.0.2.1:9>; rel="ice-server"']
            assert "link" not in (await http.options(f"/{protocol}/demo", headers=headers | PREFLIGHT)).headers


TURN = STUN | {"turn_urls": "turn:192.0.2.1:9?transport=udp", "turn_user": "viewer", "turn_secret": "shared"}


def ice_servers_of_obs(header: str) -> list[tuple[str, dict[str, str]]]:
    """Splits at every comma and semicolon and looks for ``<stun:`` and ``<turn:``, whatever the rel."""
    found = []
    for link in header.split(","):
        parts = [part.strip() for part in link.split(";")]
        if parts[0].startswith(("<stun:", "<turn:")):
            pairs = (part.partition("=") for part in parts[1:])
            found.append((parts[0][1:-1], {name: value.strip('"') for name, _, value in pairs}))
    return found


def ice_servers_of_mediamtx(header: str) -> list[re.Match[str]]:
    """Splits at comma and blank, and takes exactly this order."""
    shape = r'<(.+?)>; rel="ice-server"(; username="(.*?)"; credential="(.*?)"; credential-type="password")?'
    found = [re.match(shape, link) for link in header.split(", ")]
    return [match for match in found if match]


@pytest.mark.parametrize("protocol", ["whep", "whip"])
async def test_q21_naive_parsers_of_obs_and_mediamtx_read_our_links(protocol):
    async with live_server(**TURN) as http:
        plain = await http.options(f"/{protocol}/demo")
        header = ", ".join(plain.headers.get_list("link"))
        assert [url for url, _ in ice_servers_of_obs(header)] == ["stun:192.0.2.1:9", "turn:192.0.2.1:9?transport=udp"]
        username, password = (
            ice_servers_of_obs(header)[1][1]["username"],
            ice_servers_of_obs(header)[1][1]["credential"],
        )
        assert re.fullmatch(r"\d+:viewer", username) and re.fullmatch(r"[A-Za-z0-9+/]+=*", password)
        links = ice_servers_of_mediamtx(header)
        assert len(links) == 2 and (links[1][3], links[1][4]) == (username, password)


# --- statuses and bodies


@pytest.mark.parametrize("client", ["obs-32-whip", "mediamtx-reader-2026-08-whep", "meetecho-simple-whip-client-whip"])
async def test_q22_the_statuses_are_exactly_those_that_clients_compare_with(client):
    async with live_server() as http:
        created = await post(http, offered(client), protocol_of(offered(client)))
        assert created.status_code == 201
        ufrag = re.findall(r"a=ice-ufrag:(\S+)", offered(client))[0]
        patched = await trickle(http, created.headers["location"], f"a=ice-ufrag:{ufrag}\r\na=end-of-candidates\r\n")
        assert patched.status_code == 204
        ended = await http.delete(created.headers["location"])
        assert (ended.status_code, ended.content) == (200, b"")
        assert_problem(await http.delete(created.headers["location"]), 404)


BAD = {
    "empty": ("", 400),
    "not SDP": ("hello", 400),
    "cut": (offered("safari-17-whep").partition("=video")[0], 400),
    "no fingerprint": (re.sub(r"a=fingerprint:.*\r\n", "", offered("safari-17-whep")), 400),
    "no common codec": (re.sub(r"(H264|VP8)/", "X-NONE/", offered("safari-17-whep")), 422),
    "wrong way": (offered("safari-17-whep").replace("a=recvonly", "a=sendonly"), 422),
    "inactive": (offered("safari-17-whep").replace("a=recvonly", "a=inactive"), 422),
}


@pytest.mark.parametrize("case", BAD)
async def test_q23_q24_400_is_syntax_422_is_media_406_is_nothing_and_each_says_error(case):
    """Eyevinn webrtc-player 0.13.0 begins another protocol at 400 and 406; MediaMTX's reader shows ``error``."""
    text, status = BAD[case]
    async with live_server() as http:
        problem = assert_problem(await post(http, text), status)
        assert problem["error"] == problem["detail"]
        assert await viewers(http) == 0


async def test_q25_json_of_react_native_whip_whep_is_refused_and_the_session_kept():
    client = "react-native-whip-whep-2026-07-whep"
    async with live_server() as http:
        created = await post(http, offered(client), Accept="application/sdp")
        assert created.status_code == 201
        assert_problem(await trickle(http, created.headers["location"], trickled(client)), 400)
        assert (await http.get(created.headers["location"])).status_code == 200


@pytest.mark.parametrize(
    ("client", "slash"), [("obs-32-whip", ""), ("chromium-156-eyevinn-whip-web-client-1.1.7-whip", "/")]
)
async def test_q26_every_rule_for_location_leads_to_the_session(client, slash):
    async with live_server() as http:
        endpoint = f"{http.base_url}/whip/demo{slash}"
        created = await http.post(endpoint, content=offered(client), headers=SDP, follow_redirects=False)
        assert created.status_code == 201
        location, origin = created.headers["location"], str(http.base_url).rstrip("/")
        assert location.startswith("/whip/demo/") and "?" not in location and not location.endswith("/")
        obs = location if location.startswith("http") else f"{origin}{location}"
        joined = urljoin(endpoint, location)
        assert obs == joined
        assert (await http.get(joined, follow_redirects=False)).status_code == 200
