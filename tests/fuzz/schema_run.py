"""Every route by its description: ``python -m tests.fuzz.schema_run --seconds 300``, or ``make schemathesis``.

A real server with its real worker is started, with tokens and without limits of pace; schemathesis sends it what the
API's description allows and what it does not, and holds each answer against the description: no 5xx but 503, no status
and no media type that it does not name, bodies as its schemas have them, and no answer without the token that it asks
for. The first failure's command line to reproduce it is printed.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.clients.server_process import ROOT, Server, running_server
from tests.clients.waiting import until_now
from tests.fuzz.schema_hooks import LIVE
from whep_server.signaling.tokens import EVERY, Grant, Scope, Secret, sign

FOLDER = Path(__file__).parent
SECRET = Secret("", secrets.token_hex(32))
DAY_S = 86_400
READY_S = 60
"""Streams that were put on air last may still be made ready."""
REQUEST_S = 30
"""A warm-up may be waited for."""


@dataclass(frozen=True)
class Target:
    """A server, and what it takes to be let in."""

    server: Server
    token: str
    live: dict[str, dict[str, str]]
    """What is there, as ``schema_hooks`` wants it told."""


@contextmanager
def target() -> Iterator[Target]:
    """A server with a stream, a session of each kind, and no limits of pace."""
    token = sign(SECRET, Grant(frozenset({Scope.ADMIN}), EVERY), int(time.time()) + DAY_S)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"token_secrets": SECRET.key, "requests_per_s": "0", "offers_per_s": "0", "avatars": folder}
        small = {
            "width": "512",
            "height": "512",
            "fps": "10",
            "max_streams": "8",
            "upload_stall_s": "2",
            "max_text_chars": "40",
        }
        with running_server(log_name="schema", **settings, **small) as server:
            yield Target(server, token, what_is_there(server, token))


def what_is_there(server: Server, token: str) -> dict[str, dict[str, str]]:
    """Names of what exists, by the beginning of the paths that they belong into; sessions are made for it."""
    with httpx.Client(base_url=server.base, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as http:
        made = {
            path: http.post(f"{path}/create", params={"avatar_id": "nova"}).raise_for_status().json()["session_id"]
            for path in ("/sessions", "/webrtc/sessions")
        }
    sessions = {f"{path}/": {"session_id": name} for path, name in made.items()}
    stream = {"stream": "demo", "name": "demo"}
    pages = {"/player/session/": {"session_id": made["/sessions"]}}
    pages["/webrtc/player/"] = {"session_id": made["/webrtc/sessions"]}
    assets = {"/assets/": {"name": "player/player.js"}, "/avatars/": {"avatar_id": "nova"}}
    return {**sessions, **pages, **assets, **dict.fromkeys(("/streams/", "/whep/", "/whip/", "/player/"), stream)}


def command(asked: Target, options: Sequence[str]) -> list[str]:
    """Schemathesis' command line."""
    return [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml"), "run"),
        *(f"{asked.server.base}/openapi.json", "--header", f"Authorization: Bearer {asked.token}"),
        *("--request-timeout", str(REQUEST_S), "--no-color", "--warnings", "off"),
        *("--continue-on-failure", "--suppress-health-check", "all", *options),
    ]


def check(options: Sequence[str], deadline_s: float) -> tuple[int, str]:
    """Schemathesis' exit status, and what it says."""
    with target() as asked, tempfile.TemporaryDirectory() as notes:  # schemathesis leaves its own where it runs
        worker = asked.server.worker().pid
        env = {**os.environ, LIVE: json.dumps(asked.live), "SCHEMATHESIS_HOOKS": "tests.fuzz.schema_hooks"}
        done = subprocess.run(
            command(asked, options),
            cwd=notes,
            env={**env, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=False,
        )
        until_now(asked.server.is_ready, READY_S, "the server as ready as before")
        assert asked.server.worker().pid == worker, "the worker did not survive it"
    return done.returncode, done.stdout.decode(errors="replace")


def main() -> None:
    """For so long, with other requests each time."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.schema_run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    options = ("--max-time", str(chosen.seconds), "--seed", str(chosen.seed))
    status, said = check(options, chosen.seconds + 600)
    sys.stderr.write(said)
    sys.exit(status)


if __name__ == "__main__":
    main()
