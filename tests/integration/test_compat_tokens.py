"""Who may do what on the original server's routes, every one of them; and its pages, which need the token too."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr

from tests.clients.chunk_files import chunk_files
from tests.clients.visit import WAIT_S
from tests.clients.waiting import until_page
from tests.fake_live import FakeRegistry
from tests.integration.http_server import serving
from whep_server.app import compat_router
from whep_server.settings import Settings
from whep_server.signaling.tokens import Scope
from whep_server.web.openapi import UNSHOWN

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEE, SAY, WRONG = "see-3f1c.77", "say-9b2e.41", "guess-0a5d.13"
WATCH, PUBLISH, ANYBODY = Scope.WATCH, Scope.PUBLISH, None
CHUNKS = chunk_files(2)

ROUTES: Mapping[str, tuple[Scope | None, int]] = {
    # which of the two fixed tokens it needs, and what an empty request gets then that is let in
    "GET /": (ANYBODY, 200),
    "GET /health": (ANYBODY, 200),
    "GET /capabilities": (ANYBODY, 200),
    "GET /stats": (PUBLISH, 200),
    "GET /stats/cache": (PUBLISH, 200),
    "GET /stats/gpu-live": (PUBLISH, 200),
    "GET /avatars/list": (ANYBODY, 200),
    "GET /avatars/{avatar_id}/idle-poses": (ANYBODY, 200),
    "GET /avatars/{avatar_id}/video": (WATCH, 200),
    "GET /avatars/{avatar_id}/cache/status": (WATCH, 200),
    "POST /avatars/{avatar_id}/cache/warm": (PUBLISH, 404),
    "POST /avatars/prepare": (PUBLISH, 422),
    "DELETE /avatars/{avatar_id}": (PUBLISH, 200),
    "POST /sessions/create": (PUBLISH, 422),
    "POST /sessions/{session_id}/stream": (PUBLISH, 422),
    "GET /sessions/{session_id}/events": (WATCH, 200),
    "GET /sessions/{session_id}/status": (WATCH, 200),
    "DELETE /sessions/{session_id}": (PUBLISH, 404),
    "GET /sessions/stats": (PUBLISH, 200),
    "GET /sessions/live": (PUBLISH, 200),
    "GET /chunks/{request_id}/{name}": (WATCH, 200),
    "POST /generate": (PUBLISH, 422),
    "POST /generate/stream": (PUBLISH, 422),
    "GET /generate/{job_id}/status": (PUBLISH, 404),
    "GET /generate/{job_id}/download": (PUBLISH, 404),
    "POST /webrtc/sessions/create": (PUBLISH, 422),
    "POST /webrtc/sessions/{session_id}/offer": (WATCH, 422),
    "POST /webrtc/sessions/{session_id}/ice": (WATCH, 422),
    "POST /webrtc/sessions/{session_id}/stream": (PUBLISH, 422),
    "GET /webrtc/sessions/{session_id}/status": (WATCH, 200),
    "DELETE /webrtc/sessions/{session_id}": (PUBLISH, 404),
    "GET /webrtc/sessions/stats": (PUBLISH, 200),
    # pages are for everybody: they ask
    "GET /ui": (ANYBODY, 200),
    "GET /player/{name}": (ANYBODY, 200),
    "GET /player/session/{session_id}": (ANYBODY, 200),
    "GET /webrtc/player/{session_id}": (ANYBODY, 200),
}


@asynccontextmanager
async def guarded(folder: Path, watch: str = SEE, publish: str = SAY) -> AsyncIterator[httpx.AsyncClient]:
    """A client, that sends no token, of a server whose requests to speak have chunks."""
    live = FakeRegistry()
    live.recorder.chunks = CHUNKS
    tokens = {"watch_token": SecretStr(watch), "publish_token": SecretStr(publish)}
    async with serving(Settings(cache=folder, offers_per_s=0, **tokens), live.open) as http:
        yield http


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def http(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    async with guarded(tmp_path_factory.mktemp("cache")) as client:
        yield client


async def make_session(http: httpx.AsyncClient, family: str = "") -> str:
    """A session's id."""
    answer = await http.post(f"{family}/sessions/create", params={"avatar_id": "nova", "fps": 25}, headers=bearer(SAY))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_id"])


async def speak(http: httpx.AsyncClient, session: str) -> str:
    """Have a session speak: the request's id."""
    files = {"audio_file": ("a.wav", b"speech")}
    answer = await http.post(f"/sessions/{session}/stream", files=files, headers=bearer(SAY))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


async def spoken(http: httpx.AsyncClient, session: str) -> tuple[str, str]:
    """Have a session speak to the end, with nobody else to hear it: the request's id, and all events."""
    request_id = await speak(http, session)
    return request_id, (await http.get(f"/sessions/{session}/events", params={"token": SEE})).text


def bearer(token: str) -> dict[str, str]:
    """As a header."""
    return {"Authorization": f"Bearer {token}"}


async def addresses(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Each route of the table, and an address of it where there is something; nobody's where that would be deleted."""
    chunked, watched = await make_session(http), await make_session(http, "/webrtc")
    request_id, _ = await spoken(http, chunked)
    found = []
    for route in ROUTES:
        method, path = route.split()
        session = "nobody" if method == "DELETE" else watched if path.startswith("/webrtc") else chunked
        avatar = "nova" if method == "GET" else "nobody"
        filled = {"session_id": session, "request_id": request_id, "name": "chunk_0000.mp4"}
        if path.startswith("/player/"):
            filled["name"] = request_id
        found.append((route, path.format(avatar_id=avatar, job_id="gen_00000000", **filled)))
    return found


async def answer_to(
    http: httpx.AsyncClient, method: str, address: str, token: str | None = None, *, header: bool = True
) -> httpx.Response:
    """The answer, without the rest of one that does not end by itself."""
    given = {} if token is None else {"headers": bearer(token)} if header else {"params": {"token": token}}
    async with http.stream(method, address, **given) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            await answer.aread()  # the connection is good for the next
        return answer


async def test_the_table_has_every_route():
    routes = {
        f"{method} {route.path_format}"
        for route in compat_router().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - UNSHOWN
    }
    assert routes == set(ROUTES)


async def test_each_route_lets_in_who_has_the_token_and_refuses_all_others(http: httpx.AsyncClient):
    let_in: dict[Scope | None, set[str | None]] = {ANYBODY: {None, WRONG, SEE, SAY}, WATCH: {SEE, SAY}, PUBLISH: {SAY}}
    ways = [(None, True), *product((WRONG, SEE, SAY), (True, False))]
    for (route, address), (token, header) in product(await addresses(http), ways):
        method, (needed, status) = route.split()[0], ROUTES[route]
        answer = await answer_to(http, method, address, token, header=header)
        case = f"{method} {address}, {token}: {answer.status_code}"
        seen = token if header or method == "GET" or needed is ANYBODY else None
        if seen in let_in[needed]:
            assert answer.status_code == status, case
        else:
            assert_refused(answer, {None: None, WRONG: "invalid_token", SEE: "insufficient_scope"}[seen], case)


def assert_refused(answer: httpx.Response, error: str | None, case: str) -> None:
    """As the original writes errors, with the challenge that the standard asks for."""
    assert answer.status_code == (403 if error == "insufficient_scope" else 401), case
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ") and ("error=" in challenge) == (error is not None), case
    assert error is None or f'error="{error}"' in challenge, case
    assert answer.headers["access-control-allow-origin"] == "*", case
    assert list(answer.json()) == ["detail"], case
    assert isinstance(answer.json()["detail"], str), case


@pytest.mark.parametrize(("watch", "publish"), [("", ""), (SEE, ""), ("", SAY)])
async def test_nothing_is_asked_that_is_not_configured(tmp_path: Path, watch: str, publish: str):
    asked = {action for action, token in ((WATCH, watch), (PUBLISH, publish)) if token}
    async with guarded(tmp_path, watch, publish) as http:
        for (route, address), token in product(await addresses(http), (None, WRONG)):
            answer = await answer_to(http, route.split()[0], address, token)
            assert (answer.status_code == 401) == (ROUTES[route][0] in asked), f"{route}, {token}: {answer.status_code}"
        film = await http.get("/avatars/nova/video", headers=bearer(watch or SAY))
        assert film.headers["cache-control"] == f"{'private' if watch else 'public'}, max-age=3600"


async def test_tokens_are_told_to_nobody(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    session = await make_session(http)
    request_id, events = await spoken(http, session)
    assert f'"url":"/chunks/{request_id}/chunk_0001.mp4"' in events
    pages = [f"/player/session/{session}", f"/player/{request_id}", "/ui", "/sessions/nobody/status"]
    told = [(await http.get(page, params={"token": token})).text for page in pages for token in (SEE, SAY, WRONG)]
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [text for text in (events, *told, *ours) for token in (SEE, SAY, WRONG) if token in text]


@asynccontextmanager
async def visiting(browser: Browser) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page that is not loaded yet, and what will be written to its console; it plays without a gesture."""
    context = await browser.new_context(viewport={"width": 640, "height": 400})
    page = await context.new_page()
    written: list[str] = []
    page.on("pageerror", lambda error: written.append(f"failed: {error}"))
    page.on("console", lambda message: written.append(message.text))
    await page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
            window.idle = 0;
            whepAvatar.playback.addEventListener("idle", () => (idle += 1));
        });"""
    )
    try:
        yield page, written
    finally:
        await context.close()
    assert not [text for text in written if text.startswith("failed: ")]


async def film_is_shown(page: Page) -> None:
    """The avatar's film is there."""
    await until_page(page, "document.querySelector('#film').readyState >= 2", WAIT_S)


async def chunks_are_played(page: Page) -> None:
    """All of an utterance is over, without a word of trouble."""
    await until_page(page, "idle === 1 && document.body.dataset.state === 'idle'", WAIT_S)


async def test_the_session_player_takes_the_token_of_its_address(visitors: Browser, http: httpx.AsyncClient):
    session = await make_session(http)
    async with visiting(visitors) as (page, written):
        await page.goto(f"{http.base_url}/player/session/{session}#token={SEE}")
        await page.wait_for_selector("body[data-state=idle]", timeout=WAIT_S * 1000)
        await film_is_shown(page)
        await speak(http, session)
        await page.wait_for_selector("body[data-state=speaking]", timeout=WAIT_S * 1000)
        await chunks_are_played(page)
        await expect(page.locator("#ask")).to_be_hidden()
        assert page.url == f"{http.base_url}/player/session/{session}"
        assert not [text for text in written if SEE in text]


async def test_the_session_player_asks_until_the_token_is_right(visitors: Browser, http: httpx.AsyncClient):
    async with visiting(visitors) as (page, _):
        await page.goto(f"{http.base_url}/player/session/{await make_session(http)}")
        await page.fill("#askToken", WRONG)
        await page.keyboard.press("Enter")
        await expect(page.locator("#askWhy")).to_have_text("The token is not the right one.")
        await page.fill("#askToken", SEE)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("body[data-state=idle]", timeout=WAIT_S * 1000)
        await film_is_shown(page)


async def test_the_chunk_player_asks_at_once(visitors: Browser, http: httpx.AsyncClient):
    request_id, _ = await spoken(http, await make_session(http))
    async with visiting(visitors) as (page, _):
        await page.goto(f"{http.base_url}/player/{request_id}")
        await page.fill("#askToken", SEE)
        await page.keyboard.press("Enter")
        await until_page(page, "document.querySelector('#video').readyState >= 2", WAIT_S)
        await page.click("#all")
        await chunks_are_played(page)


async def test_the_form_shows_the_film_to_who_may_watch_and_asks_who_wants_speech(
    visitors: Browser, http: httpx.AsyncClient
):
    async with visiting(visitors) as (page, _):
        await page.goto(f"{http.base_url}/ui")
        await page.fill("#askToken", SEE)
        await page.keyboard.press("Enter")
        await film_is_shown(page)
        await page.set_input_files("#file", {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"speech"})
        await page.click("#go")
        await expect(page.locator("#askWhy")).to_have_text("The token does not allow this: it needs the scope speak.")
        await page.fill("#askToken", SAY)
        await page.keyboard.press("Enter")
        await chunks_are_played(page)
        await film_is_shown(page)
