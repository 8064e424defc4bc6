"""HTTPS without a proxy: the real server with a certificate, real clients that trust who signed it and nobody else."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from avatar.messages import AUDIO_HZ
from tests.audio_files import tone
from tests.certificates import DAY, Authority
from tests.clients.pcm_socket import pcm_socket
from tests.clients.recording_viewer import watching
from tests.clients.server_process import ROOT, Server, environment, running_server
from tests.clients.waiting import POLL_S, until
from tests.fake_live import FakeRegistry
from tests.integration.http_server import serving
from whep_server.command.certificate import Files
from whep_server.command.check_network import check_port
from whep_server.command.heads import HEAD_S
from whep_server.settings import Settings

RATE = 24_000


@dataclass(frozen=True)
class Secured:
    """A server, its files, and who signs them."""

    server: Server
    authority: Authority
    files: Files
    silent: socket.socket

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority.root)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.base, verify=self.trusting, trust_env=False, timeout=10)


def silence(server: Server) -> socket.socket:
    """A connection on which nothing is said."""
    return socket.create_connection(("127.0.0.1", int(server.base.rpartition(":")[2])))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, files = Authority(folder), Files(folder / "cert.pem", folder / "key.pem")
    authority.issue(files.certificate, files.key)
    given = {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}
    with running_server(log_name="https", **given) as server, silence(server) as silent:
        yield Secured(server, authority, files, silent)


@pytest.fixture
def trusted(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> Secured:
    """For clients that this test starts, too."""
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authority.root))
    return secured


async def test_a_viewer_plays_over_https(trusted: Secured):
    async with watching(trusted.server.whep()) as viewer:
        assert viewer.location.startswith(f"{trusted.server.base}/whep/demo/")
        await viewer.wait_pictures(25, 20)


async def test_samples_over_a_secure_websocket_are_heard(secured: Secured):
    spoken = (tone(0.5, 440, RATE, 0.5) * 32_767).astype("<i2").tobytes()
    async with pcm_socket(secured.server.base, ssl=secured.trusting) as socket:
        await socket.begin(RATE)
        await socket.samples(spoken)
        await socket.say("commit")
        assert (await socket.until("finished"))["played_samples"] == 0.5 * AUDIO_HZ


async def test_who_does_not_trust_it_gets_nothing_and_who_speaks_http_neither(secured: Secured):
    async with httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context()) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(f"{secured.server.base}/healthz")
        with pytest.raises(httpx.TransportError):
            await stranger.get(secured.server.base.replace("https", "http") + "/healthz")
    async with secured.client() as client:
        assert (await client.get("/healthz")).status_code == 200
    assert "Traceback" not in secured.server.log.read_text()


async def shown(secured: Secured) -> bytes:
    """The certificate that a new connection is shown."""
    port = int(secured.server.base.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secured.trusting, server_hostname="localhost")
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(found)


async def test_a_renewed_certificate_is_shown_without_a_restart(secured: Secured):
    """To who connects; who is connected stays. The page for Prometheus says until when it is good."""
    async with secured.client() as client:
        before = await shown(secured)
        stream = (await client.get("/healthz")).extensions["network_stream"]
        _, renewed = secured.authority.issue(secured.files.certificate, secured.files.key, ends=3 * DAY)
        async with asyncio.timeout(20):
            while (now := await shown(secured)) != renewed:
                assert now == before
                await asyncio.sleep(POLL_S)
        response = await client.get("/metrics")
        assert response.extensions["network_stream"] is stream
    (line,) = [
        each for each in response.text.splitlines() if each.startswith("whep_avatar_certificate_expiry_seconds ")
    ]
    assert ssl.cert_time_to_seconds(expiry(renewed)) == float(line.split()[1])
    await until(lambda: "new certificate: localhost, 127.0.0.1" in secured.server.log.read_text(), 5, "a line of it")


async def test_who_is_idle_and_does_not_answer_holds_up_no_end(
    trusted: Secured, live: FakeRegistry, caplog: pytest.LogCaptureFixture
):
    """TLS says goodbye both ways; who reads nothing just now, as a client between two requests, does not answer."""
    files = trusted.files
    settings = Settings(tls_certificate=str(files.certificate), tls_key=str(files.key))
    async with trusted.client() as idle, serving(settings, live.open) as http:
        assert (await idle.get(str(http.base_url.join("/healthz")))).status_code == 200
    assert not [each for each in caplog.records if "graceful shutdown exceeded" in each.getMessage()]


def expiry(certificate: bytes) -> str:
    """As OpenSSL writes it."""
    pem = ssl.DER_cert_to_PEM_cert(certificate).encode()
    command = ["openssl", "x509", "-noout", "-enddate"]
    return subprocess.run(command, input=pem, capture_output=True, check=True).stdout.decode().strip().partition("=")[2]


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whep_server", *arguments],
        cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_our_own_commands_speak_https(trusted: Secured):
    done = command("interrupt", "demo", "--url", trusted.server.base)
    assert done.returncode == 0 and "silent" in done.stderr
    port = int(trusted.server.base.rpartition(":")[2])
    settings = Settings(port=port, tls_certificate=str(trusted.files.certificate), tls_key=str(trusted.files.key))
    (finding,) = check_port(settings)
    assert finding.ok and "a server of ours is running" in finding.says


def test_a_certificate_that_cannot_be_used_ends_the_start_in_words(secured: Secured, tmp_path: Path):
    lost = tmp_path / "lost.pem"
    done = command("serve", "--port", "0", "--tls-certificate", str(lost))
    assert done.returncode == 2 and not done.stdout
    assert f"cannot read {lost}: No such file" in done.stderr and "Traceback" not in done.stderr


def test_a_handshake_that_does_not_come_is_not_waited_for_longer_than_a_head(secured: Secured):
    secured.silent.settimeout(HEAD_S + 10)
    assert secured.silent.recv(1) == b""
