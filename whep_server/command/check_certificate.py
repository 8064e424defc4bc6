"""Whether browsers take the certificate of HTTPS, as far as can be told on this machine."""

import ssl
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx

from whep_server.command.certificate import Certificate, WrongCertificate, files_of, read_certificate
from whep_server.command.findings import Finding
from whep_server.command.say import trusted
from whep_server.rtc.addresses import only_here
from whep_server.settings import PREFIX, Settings

ANSWER_S: Final = 5.0
SOON: Final = 0.15
"""Of its life left: certbot and Caddy renew with a third left."""


def check_certificate(settings: Settings) -> Iterator[Finding]:
    """The files, their dates, and a handshake with a client that trusts what this machine does."""
    files = files_of(settings)
    if files is None:
        yield _through(settings) if settings.public_url else _without(settings)
        return
    try:
        found = read_certificate(files, time.time())
    except WrongCertificate as error:
        says, _, fix = str(error).partition(": ")
        yield Finding("https", False, says, fix)
        return
    left = (found.expires_s - time.time()) / (found.expires_s - found.not_before_s)
    yield Finding(
        "https", left > SOON, f"a certificate for {found}", "renew it: it is read anew on change", fatal=False
    )
    if files.key_is_open:
        yield Finding("key", False, f"everybody on this machine may read {files.key}", "chmod 600", fatal=False)
    yield _trust(found, urlsplit(settings.public_url).hostname)


def _without(settings: Settings) -> Finding:
    if only_here(settings):
        return Finding("https", True, "not needed on this machine alone")
    fix = f"a proxy in front (docs/deployment.md), or {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY"
    says = "HTTP alone: no microphone in browsers elsewhere, and tokens can be read on the way"
    return Finding("https", False, says, fix, fatal=False)


def _through(settings: Settings) -> Finding:
    """Whether a client of this machine gets to a server of ours under the public address."""
    url = f"{settings.public_url}/healthz"
    try:
        reply = httpx.get(url, timeout=ANSWER_S, trust_env=False, verify=trusted())
    except httpx.HTTPError as error:
        fix = (
            "the proxy must run, its name lead here and its port be open; SSL_CERT_FILE names an authority of your own"
        )
        return Finding("https", False, f"{settings.public_url}: {error or type(error).__name__}", fix, fatal=False)
    if reply.status_code == httpx.codes.OK and reply.text == '{"status":"ok"}':
        return Finding("https", True, f"a server of ours answers at {settings.public_url}")
    says = f"{settings.public_url} answers {reply.status_code}, and not as a server of ours"
    fix = f"start the server; the proxy must lead to port {settings.port} and strip the path, if there is one"
    return Finding("https", False, says, fix, fatal=False)


def _trust(certificate: Certificate, host: str | None) -> Finding:
    """A handshake in memory, with the host that clients name, if it is known."""
    client = trusted()
    client.check_hostname = host is not None
    try:
        _shake(client, certificate.context, host)
    except ssl.SSLCertVerificationError as error:
        fix = f"{PREFIX}TLS_CERTIFICATE needs the certificates between it and the root, too (certbot: fullchain.pem)"
        if error.verify_code in (18, 19):  # X509_V_ERR_…SELF_SIGNED_CERT…
            fix = "clients must trust who signed it; one of a public authority (certbot, Caddy) they do trust"
        elif host is not None and "match" in error.verify_message.lower():
            fix = f"have one made for {host}, or set {PREFIX}PUBLIC_URL to what clients ask for"
        return Finding("trust", False, f"clients do not take it: {error.verify_message}", fix, fatal=False)
    return Finding("trust", True, f"a client of this machine takes it{f' for {host}' if host else ''}")


def _shake(client: ssl.SSLContext, server: ssl.SSLContext, host: str | None) -> None:
    """Errors: SSLCertVerificationError."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=host)
    answering = server.wrap_bio(there, back, server_side=True)
    waiting = [asking, answering]
    while waiting:
        for end in tuple(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
