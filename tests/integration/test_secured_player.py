"""A server that asks for tokens, as people meet it: a link with a token plays, the command line's are believed."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.clients.server_process import ROOT, Server, environment, running_server
from tests.clients.waiting import until_page
from whep_server.command.serve import Exposed, check_exposure
from whep_server.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

SECRETS = "new:" + "9b1c5e7f" * 4 + ",old:" + "27d4a60e" * 4
WAIT_S = 30.0


@pytest.fixture(scope="module")
def secured() -> Iterator[Server]:
    limits = {"token_secrets": SECRETS, "width": "512", "height": "512", "fps": "10", "log_level": "DEBUG"}
    with running_server(log_name="secured", **limits) as server:
        yield server


async def command(*arguments: str, secrets: str = SECRETS, **settings: str) -> tuple[int, str]:
    """``whep-avatar``: its exit status, and all it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "whep_server", *arguments),
        cwd=ROOT,
        env=environment({"token_secrets": secrets} | settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode().strip()


async def token(*scopes: str, stream: str = "demo", minutes: str = "5") -> str:
    """One that the command line makes."""
    wanted = [part for scope in scopes for part in ("--scope", scope)]
    status, said = await command("token", *wanted, "--stream", stream, "--minutes", minutes)
    assert status == 0, said
    return said


async def test_a_link_with_a_token_to_watch_plays_and_lets_nobody_speak(visitors: Browser, secured: Server):
    watch, speak = await token("watch"), await token("watch", "speak")
    context = await visitors.new_context(viewport={"width": 900, "height": 700})
    page = await context.new_page()
    written: list[str] = []
    page.on("pageerror", lambda error: written.append(str(error)))
    page.on("console", lambda message: written.append(message.text))
    try:
        await page.goto(f"{secured.base}/player/demo?token={watch}")
        await page.click("#start")
        await page.wait_for_selector("#stage[data-live]", timeout=WAIT_S * 1000)
        await until_page(page, "whepAvatar.events.up && whepAvatar.stats.audioPackets > 20", WAIT_S)
        assert watch not in page.url
        await page.locator("#chips button").first.click()
        await expect(page.locator("#askWhy")).to_have_text("The token does not allow this: it needs the scope speak.")
        await page.fill("#askToken", speak)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("body[data-state=speaking]", timeout=WAIT_S * 1000)
    finally:
        await context.close()
    assert not [text for text in written if "Content Security Policy" in text or watch in text or speak in text]
    environments = secured.worker().environ()
    assert "PATH" in environments and not [name for name in environments if name.startswith("WHEP_AVATAR_")]
    log = secured.log.read_text()
    assert not [secret for secret in (watch, speak, *SECRETS.replace(",", ":").split(":")[1::2]) if secret in log]


async def test_the_commands_speak_with_a_token_and_not_without(secured: Server, tmp_path: Path):
    url = ("--url", secured.base)
    status, said = await command("interrupt", "demo", *url)
    assert status == 1 and "401: a bearer token is needed" in said
    status, said = await command("interrupt", "demo", *url, token=await token("speak", stream="lobby-*"))
    assert status == 1 and "403: the token is for another stream" in said
    speaker = await token("speak", "watch")
    assert (await command("interrupt", "demo", *url, "--token", speaker))[0] == 0
    sound = tmp_path / "quiet.pcm"
    sound.write_bytes(bytes(16_000))
    status, said = await command("say", "demo", str(sound), "--rate", "16000", *url, token=speaker)
    assert status == 0, said


@pytest.mark.parametrize(
    ("arguments", "secrets", "why"),
    [
        (("--scope", "watch", "--stream", "demo"), "", "there is no secret to sign with"),
        (("--scope", "watch", "--stream", "a/b"), SECRETS, "--stream a/b: the stream must be"),
        (("--scope", "everything", "--stream", "demo"), SECRETS, "everything"),
        (("--scope", "watch", "--stream", "demo"), "short-secret", "token_secrets: Value error, a secret must have 32"),
    ],
)
async def test_a_token_that_cannot_be_made_is_explained(arguments: tuple[str, ...], secrets: str, why: str):
    status, said = await command("token", *arguments, secrets=secrets)
    assert status == 2 and why in said and "short-secret" not in said


async def test_serving_strangers_without_a_token_has_to_be_meant():
    status, said = await command("serve", "--host", "0.0.0.0", "--port", "0", secrets="")
    assert status == 2
    assert "not serving on 0.0.0.0" in said and "WHEP_AVATAR_PUBLISH_TOKEN" in said and "--insecure" in said


async def test_what_is_meant_guarded_or_at_home_may_be_served():
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        check_exposure(Settings(host=host))
    check_exposure(Settings(public_url="http://localhost:8000/avatar"))
    reached = [{"host": host} for host in ("0.0.0.0", "::", "192.0.2.1", "avatar.example")]
    for where in (*reached, {"public_url": "https://avatar.example"}):  # a proxy reaches loopback for everybody
        for guarded in ({"insecure": True}, {"publish_token": "speak"}, {"token_secrets": "s" * 32}):
            check_exposure(Settings(**where, **guarded))
        for open_ in ({}, {"watch_token": "watch"}):
            with pytest.raises(Exposed):
                check_exposure(Settings(**where, **open_))


async def test_a_link_is_to_the_address_that_clients_use():
    wanted = ("token", "--scope", "watch", "--stream", "demo", "--link")
    for settings, base in (
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": "8001"}, "http://127.0.0.1:8001"),
        ({"public_url": "https://a.example/nova/"}, "https://a.example/nova"),
        ({"tls_certificate": "cert.pem", "host": "::1"}, "https://[::1]:8000"),
    ):
        status, said = await command(*wanted, **settings)
        assert status == 0 and said.startswith(f"{base}/player/demo#token=ey"), said
    status, said = await command("token", "--scope", "watch", "--stream", "lobby-*", "--link")
    assert status == 2 and "one stream" in said
