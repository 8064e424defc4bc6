"""An authority of the tests' own, and certificates that it signs, as files."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

DAY = timedelta(days=1)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """Signs. ``root`` is the file that whoever is to trust it names."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named("the tests' own")
        self.root = folder / "root.pem"
        builder = self._begun(self._name, self._key, datetime.now(UTC) - DAY, datetime.now(UTC) + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # it signs, and nothing else
        builder = builder.add_extension(usage, critical=True)
        own = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        signed = builder.add_extension(own, critical=False).sign(self._key, hashes.SHA256())
        self.root.write_bytes(signed.public_bytes(Encoding.PEM))

    def _begun(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )

    def issue(
        self, certificate: Path, key: Path, *names: str, begins: timedelta = -DAY, ends: timedelta = DAY
    ) -> tuple[int, bytes]:
        """Write a certificate for ``names``, 127.0.0.1 where there are none. Its serial number, and it in DER."""
        own = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        others = x509.SubjectAlternativeName([alternative(name) for name in names or ("127.0.0.1", "localhost")])
        builder = self._begun(named("avatar"), own, now + begins, now + ends).add_extension(others, critical=False)
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = builder.add_extension(theirs, critical=False).sign(self._key, hashes.SHA256())
        key.write_bytes(pem(own))
        key.chmod(0o600)
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        return signed.serial_number, signed.public_bytes(Encoding.DER)
