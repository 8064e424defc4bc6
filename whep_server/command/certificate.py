"""The certificate of HTTPS: read from its files, judged, and read anew when they change.

Whoever renews certificates (certbot, a mounted secret of Kubernetes) writes files and knows no server. So the files
are looked at every few seconds. What is new there and can be used serves the handshakes that begin from then on; what
cannot be used is logged, and the one before goes on. Connections that are open stay as they are.
"""

import asyncio
import logging
import os
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from whep_server.settings import PREFIX, Settings

logger = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Time between two looks at the files."""
MISMATCHES: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})
"""OpenSSL's words for a key that is not the certificate's."""
KEY: Final = b"PRIVATE KEY-----"
OTHERS: Final = 0o007
"""Permissions of everybody on the machine."""


class WrongCertificate(Exception):
    """It cannot be served with; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate and its key are; the same file may hold both."""

    certificate: Path
    key: Path

    @property
    def key_is_open(self) -> bool:
        """Whether everybody on this machine may read the key."""
        return bool(self.key.stat().st_mode & OTHERS)

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Changes when either does; empty where one is missing."""
        try:
            found = [path.stat() for path in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that can be served with."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    """Domains and addresses that it is for."""
    not_before_s: float
    expires_s: float
    """Units: seconds since 1970."""

    def __str__(self) -> str:
        """For whom, and how long."""
        return f"{', '.join(self.names) or 'no name'}, good until {_date(self.expires_s)}"


def files_of(settings: Settings) -> Files | None:
    """Where they are; None without HTTPS."""
    if not settings.tls_certificate:
        return None
    return Files(Path(settings.tls_certificate), Path(settings.tls_key or settings.tls_certificate))


def read_certificate(files: Files, now_s: float) -> Certificate:
    """What the files hold. Errors: WrongCertificate."""
    first = _first(files.certificate)
    _check_key(files.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 or newer
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password="")  # else OpenSSL would ask the terminal
    except ssl.SSLError as error:
        raise WrongCertificate(_refusal(files, error)) from None
    except OSError as error:  # it went away meanwhile
        raise WrongCertificate(_unreadable(files.key, error)) from None
    found = Certificate(
        context, _names(first), first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
    )
    if found.expires_s <= now_s:
        raise WrongCertificate(f"{files.certificate} expired on {_date(found.expires_s)}: renew it")
    if found.not_before_s > now_s:
        raise WrongCertificate(
            f"{files.certificate} is good from {_date(found.not_before_s)} on, and it is {_date(now_s)}: set the clock"
        )
    return found


def _first(path: Path) -> x509.Certificate:
    """The server's own: those that signed it follow (RFC 8446 section 4.4.2)."""
    try:
        return x509.load_pem_x509_certificates(_bytes(path))[0]
    except ValueError:
        raise WrongCertificate(
            f"{path} holds no certificate in PEM ({PREFIX}TLS_CERTIFICATE): it begins with -----BEGIN CERTIFICATE-----"
        ) from None


def _check_key(path: Path) -> None:
    data = _bytes(path)
    if KEY not in data:
        raise WrongCertificate(f"{path} holds no private key in PEM: name the file that does, {PREFIX}TLS_KEY")
    if b"ENCRYPTED" in data:
        raise WrongCertificate(
            f"the key in {path} has a password, which nobody is there to type: openssl pkey -in {path} -out FILE"
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongCertificate(_unreadable(path, error)) from None


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return (
            f"{path} may not be read by this user (uid {os.geteuid()}): let it, and nobody else: "
            f"chown {os.geteuid()} {path} && chmod 600 {path}, and each folder above must let it pass"
        )
    return f"cannot read {path}: {error.strerror}: {PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY name files"


def _refusal(files: Files, error: ssl.SSLError) -> str:
    if error.reason in MISMATCHES:
        return (
            f"the key in {files.key} is not that of the first certificate in {files.certificate}: the server's own "
            "certificate comes first, those that signed it after it; both files must be of one renewal"
        )
    return f"OpenSSL does not take {files.certificate} with {files.key}: {error.reason or error}: have it made anew"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Browsers read the subject's common name no more."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _date(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


class LiveCertificate:
    """The newest one that could be used. ``context`` is for the listening socket, for as long as that listens."""

    def __init__(self, files: Files) -> None:
        """Errors: WrongCertificate."""
        self._files = files
        self._taken = self._seen = files.stamp()
        self._newest = read_certificate(files, time.time())
        self.context = self._newest.context
        # OpenSSL calls it in each handshake, also where the client names no server. A context that is in use is not
        # changed: a new certificate with a key that does not fit would leave it without either.
        self.context.sni_callback = self._choose

    def __str__(self) -> str:
        """The newest one."""
        return str(self._newest)

    def expires_s(self) -> float:
        """When it does. Units: seconds since 1970."""
        return self._newest.expires_s

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest.context

    async def follow(self) -> None:
        """Look at the files for ever; in a thread, as they may be on a slow disk."""
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self.look, time.time())

    def look(self, now_s: float) -> None:
        """Take what has changed and is the same as at the last look: two files are not written at one time."""
        stamp, before = self._files.stamp(), self._seen
        self._seen = stamp
        if stamp == self._taken or stamp != before:
            return
        self._taken = stamp  # one that is wrong is told once
        try:
            self._newest = read_certificate(self._files, now_s)
        except WrongCertificate as error:
            logger.error("the new certificate is not taken: %s; the old one is for %s", error, self)
        else:
            logger.info("new certificate: %s", self)
