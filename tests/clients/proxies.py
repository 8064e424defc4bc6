"""Debian's Caddy and nginx with the very files of deploy/, inside a network namespace. Needs root."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.clients.namespace import Namespace
from tests.clients.peers import need
from tests.clients.server_process import CACHE, ROOT, environment, spawned
from tests.clients.waiting import until_now

START_S = 30.0
NGINX = """
error_log stderr;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    include {site};
}}
"""
"""What Debian's own nginx.conf does around a site, without files elsewhere."""


@contextmanager
def caddy(space: Namespace, config: Path, folder: Path) -> Iterator[Path]:
    """Caddy with its certificates in ``folder``; the root that it signs them with, where the site is an address."""
    log = CACHE / f"caddy-{space.name}.log"
    env = environment({}) | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with spawned(space.argv(need("caddy"), "run", "--config", str(config)), log, env=env) as process:
        obtained = "certificate obtained successfully"
        until_now(
            lambda: obtained in log.read_text() or not process.is_running(), START_S, f"Caddy's certificate; see {log}"
        )
        assert process.is_running(), log.read_text()[-4000:]
        yield folder / "caddy/pki/authorities/local/root.crt"


@contextmanager
def nginx(space: Namespace, certificates: Path, folder: Path) -> Iterator[None]:
    """Nginx with deploy/nginx.conf; ``certificates`` is what it finds as /etc/ssl."""
    config, pid, log = folder / "nginx.conf", folder / "nginx.pid", CACHE / f"nginx-{space.name}.log"
    config.write_text(NGINX.format(folder=folder, site=ROOT / "deploy/nginx.conf"))
    run = f'mount --bind {certificates} /etc/ssl && exec {need("/usr/sbin/nginx")} -c {config} -g "daemon off;"'
    with spawned(space.argv("unshare", "--mount", "sh", "-c", run), log) as process:
        until_now(lambda: pid.exists() or not process.is_running(), START_S, f"nginx; see {log}")
        assert process.is_running(), log.read_text()[-4000:]
        yield


def fingerprint(certificate: Path) -> str:
    """Of its key, as Chromium's --ignore-certificate-errors-spki-list takes it."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(info).digest()).decode()
