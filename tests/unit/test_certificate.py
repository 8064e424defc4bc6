"""The certificate of HTTPS: what cannot be used is refused in words that help; a new one is taken, a bad one not."""

import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.certificates import DAY, Authority
from tests.clients.otlp_receiver import receiving
from tests.clients.server_process import free_port
from whep_server.command.certificate import Files, LiveCertificate, WrongCertificate, files_of, read_certificate
from whep_server.command.check_certificate import check_certificate
from whep_server.command.findings import Finding
from whep_server.command.serve import open_certificate
from whep_server.settings import Settings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    """Good ones."""
    found = Files(tmp_path / "cert.pem", tmp_path / "key.pem")
    authority.issue(found.certificate, found.key)
    return found


def refusal(files: Files) -> str:
    with pytest.raises(WrongCertificate) as caught:
        read_certificate(files, time.time())
    assert "PRIVATE KEY" not in str(caught.value)
    return str(caught.value)


def test_a_good_one_says_for_whom_and_how_long(files: Files):
    found = read_certificate(files, time.time())
    assert found.names == ("localhost", "127.0.0.1") and "localhost, 127.0.0.1, good until 2" in str(found)
    assert found.context.minimum_version >= ssl.TLSVersion.TLSv1_2
    both = files.certificate.with_name("both.pem")
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    only = files_of(Settings(tls_certificate=str(both)))
    assert only is not None and read_certificate(only, time.time()).names == found.names


def test_what_is_missing_or_no_file_is_named(files: Files, tmp_path: Path):
    assert "none.pem: No such file" in refusal(Files(tmp_path / "none.pem", files.key))
    assert "none.pem: No such file" in refusal(Files(files.certificate, tmp_path / "none.pem"))
    assert "WHEP_AVATAR_TLS_CERTIFICATE" in refusal(Files(tmp_path, files.key))


def test_what_is_in_the_wrong_file_is_told(files: Files):
    assert "no certificate in PEM" in refusal(Files(files.key, files.certificate))
    assert "no private key in PEM" in refusal(Files(files.certificate, files.certificate))


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(files: Files):
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    files.key.write_bytes(locked)
    assert "openssl pkey -in" in refusal(files)


def test_a_key_of_another_certificate_is_told(files: Files, authority: Authority, tmp_path: Path):
    other = Files(tmp_path / "other.pem", tmp_path / "other.key")
    authority.issue(other.certificate, other.key)
    assert "is not that of the first certificate" in refusal(Files(files.certificate, other.key))
    files.certificate.write_bytes(authority.root.read_bytes() + files.certificate.read_bytes())
    assert "comes first" in refusal(files)


def test_one_that_has_expired_or_has_not_begun_is_told(files: Files, authority: Authority):
    authority.issue(files.certificate, files.key, begins=-3 * DAY, ends=-DAY)
    assert "expired on 2" in refusal(files) and "renew it" in refusal(files)
    authority.issue(files.certificate, files.key, begins=timedelta(hours=1))
    assert "set the clock" in refusal(files)


def test_broken_pem_is_told(files: Files):
    files.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "OpenSSL does not take" in refusal(files)


def handshake(server: ssl.SSLContext, authority: Authority) -> int:
    """The serial number of what a client is shown that names the server."""
    client = ssl.create_default_context(cafile=authority.root)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="localhost"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = ends[0].getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)


def test_a_renewed_one_is_taken_when_both_files_are_there(files: Files, authority: Authority, tmp_path: Path, caplog):
    live = LiveCertificate(files)
    before = handshake(live.context, authority)
    new = Files(tmp_path / "new.pem", tmp_path / "new.key")
    serial, _ = authority.issue(new.certificate, new.key, ends=2 * DAY)
    new.certificate.rename(files.certificate)  # as certbot does: one after the other
    live.look(time.time())
    assert handshake(live.context, authority) == before
    new.key.rename(files.key)
    for _ in range(2):
        live.look(time.time())
    assert handshake(live.context, authority) == serial and live.expires_s() > time.time() + DAY.total_seconds()
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


def test_a_bad_one_is_told_once_and_the_old_one_goes_on(files: Files, authority: Authority, caplog):
    live = LiveCertificate(files)
    before = handshake(live.context, authority)
    authority.issue(files.certificate, files.key, begins=-3 * DAY, ends=-DAY)
    for _ in range(4):
        live.look(time.time())
    assert handshake(live.context, authority) == before
    (told,) = [each.getMessage() for each in caplog.records]
    assert "is not taken" in told and "expired" in told
    files.key.unlink()
    for _ in range(3):
        live.look(time.time())
    assert handshake(live.context, authority) == before and len(caplog.records) == 2
    serial, _ = authority.issue(files.certificate, files.key)
    for _ in range(2):
        live.look(time.time())
    assert handshake(live.context, authority) == serial


def test_the_start_says_for_whom_it_is_and_warns_of_a_key_that_everybody_may_read(files: Files):
    said: list[str] = []
    settings = Settings(tls_certificate=str(files.certificate), tls_key=str(files.key))
    open_certificate(settings, said.append)
    assert len(said) == 1 and said[0].startswith("certificate: localhost, 127.0.0.1, good until")
    files.key.chmod(0o644)
    open_certificate(settings, said.append)
    assert said[-1] == f"everybody on this machine may read the key: chmod 600 {files.key}"
    assert open_certificate(Settings(), said.append) is None


def findings(**settings: object) -> dict[str, Finding]:
    return {each.check: each for each in check_certificate(Settings(**settings))}  # type: ignore[arg-type]


def test_the_doctor_shakes_hands_as_a_client_of_this_machine(
    files: Files, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    given = {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}
    found = findings(**given)
    assert found["https"].ok and found["trust"].status == "warning" and "fullchain" in found["trust"].fix
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    assert findings(**given)["trust"].ok
    assert findings(**given, public_url="https://localhost:8443")["trust"].ok
    other = findings(**given, public_url="https://avatar.example.org")["trust"]
    assert not other.ok and "WHEP_AVATAR_PUBLIC_URL" in other.fix
    assert "key" not in found
    files.key.chmod(0o644)
    assert findings(**given)["key"].status == "warning"


def test_the_doctor_says_what_start_would_say_and_warns_of_the_end(files: Files, authority: Authority):
    given = {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}
    authority.issue(files.certificate, files.key, begins=-20 * DAY, ends=DAY)
    assert findings(**given)["https"].status == "warning"
    authority.issue(files.certificate, files.key, begins=-2 * DAY, ends=-DAY)
    found = findings(**given)["https"]
    assert found.status == "failed" and "expired" in found.says and found.fix == "renew it"


def test_without_one_the_doctor_warns_of_what_others_reach():
    assert findings()["https"].ok
    assert findings(host="0.0.0.0")["https"].status == "warning"


def test_the_doctor_asks_under_the_public_address():
    closed = findings(public_url=f"http://127.0.0.1:{free_port()}")["https"]
    assert closed.status == "warning" and "Connection refused" in closed.says and "the proxy must run" in closed.fix
    with receiving() as other:
        found = findings(public_url=other.url, port=8001)["https"]
    assert found.status == "warning" and "not as a server of ours" in found.says and "port 8001" in found.fix
