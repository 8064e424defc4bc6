"""The pages that play: they are there for what is there, and all that they load is there, too."""

import re
from urllib.parse import urljoin

import httpx
import pytest

from tests.contract.field_types import assert_refused
from tests.contract.original_client import SSE, WEBRTC
from tests.contract.short_speech import spoken

NOBODY = "x" * 22
LOADED = re.compile(r"""<(?:script|link|img|video|source|audio)\b[^>]*?\s(?:src|href)=["']([^"'#][^"']*)["']""")


def assert_page(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<html" in answer.text.lower() and "</html>" in answer.text.lower()


async def assert_complete(http: httpx.AsyncClient, answer: httpx.Response) -> None:
    """What a page names is served."""
    for reference in LOADED.findall(answer.text):
        address = urljoin(str(answer.url), reference)
        if address.startswith("http"):
            assert (await http.get(address)).status_code == 200, reference


async def test_the_form(http):
    page = await http.get("/ui")
    assert_page(page)
    await assert_complete(http, page)


async def test_the_page_of_a_session(client):
    made = await client.create()
    page = await client.http.get(made["player_url"])
    assert_page(page)
    await assert_complete(client.http, page)
    assert (await client.http.delete(f"{SSE}/{made['session_id']}")).status_code == 200
    assert_refused(await client.http.get(made["player_url"]), 404)


async def test_the_page_of_a_webrtc_session(client):
    made = await client.create(WEBRTC)
    page = await client.http.get(made["player_url"])
    assert_page(page)
    await assert_complete(client.http, page)
    assert (await client.http.delete(f"{WEBRTC}/{made['session_id']}")).status_code == 200
    assert_refused(await client.http.get(made["player_url"]), 404)


async def test_the_page_of_a_request(client):
    async with client.session() as session_id:
        request_id, _ = await client.utterance(session_id, spoken(0.6))
    page = await client.http.get(f"/player/{request_id}")
    assert_page(page)
    await assert_complete(client.http, page)


@pytest.mark.parametrize("path", [f"/player/session/{NOBODY}", f"/webrtc/player/{NOBODY}", "/player/a_req_01234567"])
async def test_pages_of_what_is_not_there(http, path):
    assert_refused(await http.get(path), 404)


async def test_an_id_that_no_request_has(http, target):
    answer = await http.get("/player/not-a-request")
    assert answer.status_code == (404 if target.ours else 400), "here it could be the name of a stream"
