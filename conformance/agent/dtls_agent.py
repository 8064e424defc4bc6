"""DTLS 1.2 with SRTP keys, in either role, over datagrams in memory. No socket; OpenSSL keeps its own time.

Sources: RFC 6347, RFC 5764 (use_srtp, key layout), RFC 7714 (AEAD profiles), RFC 8122 (fingerprints).
"""

import datetime
import hashlib
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from conformance.agent.manner import AEAD_128, AEAD_256, CM_80

MTU: Final = 1200
RECORD_HEAD_BYTES: Final = 13
KEY_LABEL: Final = b"EXTRACTOR-dtls_srtp"
KEY_AND_SALT_BYTES: Final = {CM_80: (16, 14), AEAD_128: (16, 12), AEAD_256: (32, 12)}
PROFILES: Final = (AEAD_128, CM_80)
"""SRTP protection profiles by default, best first. AES-CM is the one that everybody has (RFC 8827 section 6.5)."""
HASHES: Final = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        """Its value for ``a=fingerprint``."""
        return f"sha-256 {fingerprint(self.certificate, 'sha-256')}"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What a finished handshake gives to SRTP: master key and salt for each direction."""

    profile: str
    sending: bytes
    receiving: bytes


def make_certificate(name: str = "conformance") -> Certificate:
    """A new ECDSA P-256 certificate that is valid now; every WebRTC stack takes this kind."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=30),
    )
    return Certificate(builder.sign(key, hashes.SHA256()), key)


def fingerprint(certificate: x509.Certificate, algorithm: str) -> str:
    """The digest of a certificate, as SDP writes it: upper-case pairs with colons."""
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    return HASHES[algorithm](encoded).digest().hex(":").upper()


class DtlsAgent:
    """One end of a DTLS association. Datagrams of OpenSSL are in ``outgoing`` after each call."""

    def __init__(
        self, certificate: Certificate, *, client: bool, profiles: Sequence[str] = PROFILES, mtu: int = MTU
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        if profiles:
            context.set_tlsext_use_srtp(":".join(profiles).encode())
        self._tls = SSL.Connection(context, None)
        self._tls.set_ciphertext_mtu(mtu)
        self._mtu = mtu
        self._client = client
        self._started = False
        (self._tls.set_connect_state if client else self._tls.set_accept_state)()
        self.outgoing: deque[bytes] = deque()
        self.connected = False
        self.closed_by_peer = False
        """The peer sent close_notify."""
        self.failure: str | None = None
        """Why the association cannot be, in OpenSSL's words."""

    def start(self) -> None:
        """Begin; as client this sends the first flight. A server waits for it."""
        if not self._started:
            self._started = True
            self._advance()

    def receive(self, datagram: bytes) -> None:
        """A DTLS datagram came in."""
        if self.failure is not None:
            return
        self._started = True
        self._tls.bio_write(datagram)
        self._advance()

    def tick(self) -> None:
        """Repeat the last flight where it is time to."""
        if self._started and not self.connected and self.failure is None:
            self._tls.DTLSv1_handle_timeout()
            self._flush()

    def say_goodbye(self) -> None:
        """Send close_notify."""
        if self.connected:
            try:
                self._tls.shutdown()
            except SSL.Error as error:
                self.failure = _words(error)
            self._flush()

    def keys(self) -> SrtpKeys | None:
        """SRTP's keys; None where no protection profile was agreed.

        Errors: ValueError before the handshake is done.
        """
        if not self.connected:
            raise ValueError("the handshake is not done")
        profile = self._tls.get_selected_srtp_profile().decode()
        if profile not in KEY_AND_SALT_BYTES:
            return None
        key, salt = KEY_AND_SALT_BYTES[profile]
        material = self._tls.export_keying_material(KEY_LABEL, 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        return SrtpKeys(profile, client, server) if self._client else SrtpKeys(profile, server, client)

    def peer_matches(self, fingerprints: Sequence[tuple[str, str]]) -> bool:
        """Whether the peer's certificate has one of these (algorithm, digest)."""
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        return certificate is not None and any(
            fingerprint(certificate, algorithm) == digest.upper()
            for algorithm, digest in fingerprints
            if algorithm in HASHES
        )

    def _advance(self) -> None:
        try:
            if not self.connected:
                self._tls.do_handshake()
                self.connected = True
            self._tls.recv(2048)  # application data is not ours; what counts is an alert
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed_by_peer = True
        except SSL.Error as error:
            self.failure = _words(error)
        self._flush()

    def _flush(self) -> None:
        pending = bytearray()
        while True:
            try:
                pending += self._tls.bio_read(65536)
            except SSL.WantReadError:
                break
        self.outgoing.extend(pack_records(bytes(pending), self._mtu))


def pack_records(flight: bytes, mtu: int) -> list[bytes]:
    """Cut what OpenSSL wrote into datagrams: whole records, as many in one as the MTU allows."""
    datagrams: list[bytes] = []
    at = 0
    while at + RECORD_HEAD_BYTES <= len(flight):
        length = RECORD_HEAD_BYTES + struct.unpack(">H", flight[at + 11 : at + 13])[0]
        record = flight[at : at + length]
        if datagrams and len(datagrams[-1]) + len(record) <= mtu:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        at += length
    return datagrams


def _words(error: SSL.Error) -> str:
    """OpenSSL's reason in one line."""
    reasons = [str(entry[-1]) for entry in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reasons) or type(error).__name__
