"""Records what a client sends: a proxy between it and a server that keeps heads and bodies of all requests but GET.

    python -m tests.clients.offer_recorder SERVER FOLDER NAME COMMAND ...

Runs the command with ``{server}`` in it replaced by the proxy's address, and writes into the folder the offer as
NAME.sdp, each trickle fragment as NAME.sdpfrag, NAME-2.sdpfrag ..., and the heads of all requests, in order, as
NAME.http. Addresses of this machine become 192.0.2.1 (RFC 5737), the session's id becomes SESSION.
"""

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMAND_S = 90.0
FORWARDED = ("Accept", "Authorization", "Content-Type", "If-Match", "Origin", "Access-Control-Request-Method")
HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client."""

    head: str
    """Request line and header lines as they were sent, without the empty line."""
    kind: str
    """The media type of its body."""
    body: bytes


@dataclass(slots=True)
class Recording:
    """What a client sent so far."""

    server: str
    requests: list[Request] = field(default_factory=list)

    def write(self, folder: Path, name: str) -> None:
        """Keep it as files.

        Errors: ValueError where there is no offer.
        """
        bodies = {kind: [each.body for each in self.requests if each.kind == kind] for kind in (SDP, FRAGMENT)}
        if not bodies[SDP]:
            raise ValueError(f"{name} sent no offer: {[each.head.splitlines()[0] for each in self.requests]}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.sdp").write_bytes(anonymous(bodies[SDP][0]))
        for number, body in enumerate(bodies[FRAGMENT], 1):
            suffix = f"-{number}" if number > 1 else ""
            (folder / f"{name}{suffix}.sdpfrag").write_bytes(anonymous(body))
        heads = "\n\n".join(each.head for each in self.requests)
        (folder / f"{name}.http").write_bytes(anonymous(heads.encode()) + b"\n")


def anonymous(text: bytes) -> bytes:
    """The text with this machine's addresses and the session's id replaced."""
    kept = rb"(?<![\d.])(?!127\.|0\.0\.0\.0)(?:10|172|192|169)(?:\.\d{1,3}){3}(?![\d.])"
    text = re.sub(kept, b"192.0.2.1", text)
    text = re.sub(rb"(?<= )f[cde][0-9a-f]{2}:[0-9a-f:]+", b"2001:db8::1", text)
    text = re.sub(rb"(?im)^((?:host|origin|referer): ).*$", rb"\1http://player.example", text)
    text = text.replace(b"Host: http://player.example", b"Host: avatar.example")
    return re.sub(rb"(/wh[ei]p/\w+/)[\w-]{16,}", rb"\1SESSION", text)


class Handler(BaseHTTPRequestHandler):
    """Notes a request and hands it on."""

    protocol_version = "HTTP/1.1"
    recording: Recording

    def read_body(self) -> bytes:
        """The whole body, by its length or in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def forward(self) -> None:
        """Answer as the server answers."""
        body = self.read_body()
        head = "\n".join([self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())])
        kind = self.headers.get_content_type() if body else ""
        if self.command not in ("GET", "HEAD"):  # a player's own page loads much besides
            self.recording.requests.append(Request(head, kind, body))
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
        names = "Access-Control-Request-Headers"
        headers |= {names: self.headers[names]} if names in self.headers else {}
        request = urllib.request.Request(self.recording.server + self.path, body or None, headers, method=self.command)
        try:
            response = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as refused:
            response = refused
        with response:
            answer = response.read()
            self.send_response_only(response.status)
            for name, value in response.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a page that has been closed
                self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = forward  # noqa: N815  the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Nothing."""


class Proxy(ThreadingHTTPServer):
    """Ends without waiting for event streams that are still open."""

    daemon_threads = True


@contextmanager
def recording_proxy(server: str) -> Iterator[tuple[str, Recording]]:
    """A proxy on loopback: its address, and what it has recorded."""
    recording = Recording(server)
    handler = type("RecordingHandler", (Handler,), {"recording": recording})
    with Proxy(("127.0.0.1", 0), handler) as proxy:
        thread = Thread(target=proxy.serve_forever, name="offer-recorder")
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", recording
        finally:
            proxy.shutdown()
            thread.join()


def main(server: str, folder: str, name: str, *command: str) -> None:
    with recording_proxy(server) as (address, recording):
        filled = [part.replace("{server}", address) for part in command]
        result = subprocess.run(filled, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if result.returncode:
        print(f"{name} failed, its requests are kept all the same:\n{result.stdout[-800:]}{result.stderr[-800:]}")
    recording.write(Path(folder), name)
    print(f"{name}: {', '.join(each.head.split()[0] for each in recording.requests)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
