"""What a reverse proxy says is believed of those that are named; addresses that are handed on are the public ones."""

import pytest

from tests.integration.http_server import serving
from tests.integration.test_http import OFFER, SDP
from tests.integration.test_http_sessions import created
from whep_server.command.serve import believed
from whep_server.settings import Settings

PUBLIC = "https://avatar.example.org/nova"


def via(address: str) -> dict[str, str]:
    """As a proxy sends it."""
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}


async def statuses(http, *addresses: str) -> list[int]:
    answers = [await http.post("/whep/demo", content=b"no offer", headers=SDP | via(each)) for each in addresses]
    return [answer.status_code for answer in answers]


async def test_a_proxy_here_says_whose_offers_are_counted(live):
    async with serving(Settings(offers_per_s=0.01, offer_burst=1), live.open) as http:
        assert await statuses(http, "192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1") == [400, 400, 429, 400]


async def test_the_last_proxy_that_is_not_believed_is_the_client(live):
    """A client may begin the list with whatever it likes; each proxy adds whom it saw."""
    async with serving(
        Settings(offers_per_s=0.01, offer_burst=1, trusted_proxies=["127.0.0.1", "10.0.0.0/8"]), live.open
    ) as http:
        assert await statuses(http, "192.0.2.8, 192.0.2.1, 10.1.2.3", "192.0.2.9, 192.0.2.1, 10.9.9.9") == [400, 429]


async def test_what_others_say_is_not_believed(live):
    settings = Settings(offers_per_s=0.01, offer_burst=1, trusted_proxies=["10.0.0.1"])
    async with serving(settings, live.open) as http:
        assert await statuses(http, "192.0.2.1", "192.0.2.2") == [400, 429]


def test_a_socket_for_both_families_shows_ipv4_as_ipv6():
    assert believed(["127.0.0.1", "::1", "10.0.0.0/8"]) == [
        "127.0.0.1", "::ffff:127.0.0.1/128", "::1", "10.0.0.0/8", "::ffff:10.0.0.0/104",
    ]  # fmt: skip
    assert believed(["*"]) == ["*"]


@pytest.fixture
def settings() -> Settings:
    return Settings(public_url=PUBLIC + "/", cors_origins=["https://app.example"])


async def test_what_is_handed_on_has_the_public_address(http):
    response = await created(http)
    assert response.headers["location"].startswith(f"{PUBLIC}/whep/demo/")
    assert f"<{response.headers['location']}/events>" in response.headers["link"]
    session = response.headers["location"].removeprefix(PUBLIC)
    events = await http.post(f"{session}/events", json=["viewercount"])
    assert events.status_code == 201 and events.headers["location"].startswith(f"{PUBLIC}{session}/events/")
    assert (await http.delete(session)).status_code == 200
    demo = (await http.get("/streams/demo")).json()
    assert (demo["player"], demo["whep"]) == (f"{PUBLIC}/player/demo", f"{PUBLIC}/whep/demo")
    made = await http.post("/streams", json={"name": "lobby"})
    assert made.headers["location"] == f"{PUBLIC}/streams/lobby"
    made = await http.post("/webrtc/sessions/create", params={"avatar_id": "nova"})
    assert made.json()["player_url"].startswith("/nova/")  # its clients put their own base before it


async def test_our_pages_work_under_the_public_address_and_any_other(http):
    page = await http.get("/player/demo")
    assert 'src="/nova/assets/player/player.js' in page.text
    assert "connect-src 'self' https://avatar.example.org" in page.headers["content-security-policy"]


async def test_a_page_of_the_public_address_may_open_a_websocket_also_where_the_proxy_hides_the_host(http):
    upgrade = {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Host": "127.0.0.1:8000"}
    foreign = await http.get("/streams/demo/pcm", headers={**upgrade, "Origin": "https://other.example"})
    assert foreign.status_code == 403
    async with http.stream(
        "GET", "/streams/demo/pcm", headers={**upgrade, "Origin": "https://avatar.example.org"}
    ) as own:
        assert own.status_code == 101


async def test_an_offer_is_never_answered_with_a_redirect(http):
    response = await http.post("/whep/demo", content=OFFER, headers=SDP | via("192.0.2.1") | {"Host": "other.example"})
    assert response.status_code == 201 and response.headers["location"].startswith(PUBLIC)
