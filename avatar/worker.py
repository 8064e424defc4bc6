"""The worker process: ``python -m avatar.worker --fd N``. Started by ``avatar.client``, never by hand.

Threads: this one reads the socket; one writes it, and makes the packets of sound for that (``outbox``); one renders
(``studio``), publishers' packets included; one encodes idle loops; one decodes for each uploaded utterance. All of them
sleep while nobody speaks. The process ends when its socket closes, whatever the others do.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch: more threads only add latency here

import argparse
import faulthandler
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from avatar.framing import MessageReader, decode_to_worker
from avatar.library import DiskLibrary, Library
from avatar.messages import (
    Configure,
    FromWorker,
    LogLine,
    Ready,
    Shutdown,
    ToWorker,
    WorkerConfig,
)
from avatar.outbox import Outbox
from avatar.studio import Studio

log = logging.getLogger(__name__)

ABOUT: Final = ("stream", "utterance")
"""What a log record's ``extra`` may name."""

SWITCH_S: Final = 0.0005
"""A thread that comes back from a codec or a sum waits so long for the interpreter, by default 5 ms. With files being
decoded beside it, the render thread spent more time on waiting for it than in codecs."""
READ_BYTES: Final = 256 * 1024
SOCKET_BYTES: Final = 4 * 1024 * 1024
"""A phase of an idle loop fits, so that a unit of a live stream waits behind none."""


class _LogHome(logging.Handler):
    """Log records as messages; a traceback goes along as text."""

    def __init__(self, send: Callable[[FromWorker], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        about = {name: str(getattr(record, name)) for name in ABOUT if hasattr(record, name)}
        self._send(LogLine(record.levelno, record.name, self.format(record), about))


def run(fd: int, make_library: Callable[[WorkerConfig], Library]) -> None:
    """Serve the socket ``fd`` until it closes or asks to end; does not return."""
    with socket.socket(fileno=fd) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        outbox = Outbox(sock)
        logging.basicConfig(handlers=[_LogHome(outbox.send)], level=logging.INFO, format="%(message)s", force=True)
        status = 0
        try:
            _serve(sock, outbox, make_library)
        except Exception:
            log.exception("the worker ends")
            status = 1
        outbox.flush(1.0)
        # daemon threads may be inside native code: no interpreter shutdown that waits for them or pulls memory away
        os._exit(status)


def _serve(sock: socket.socket, outbox: Outbox, make_library: Callable[[WorkerConfig], Library]) -> None:
    reader = MessageReader()
    studio: Studio | None = None
    while data := _receive(sock):
        for body in reader.feed(data):
            message = _decoded(body)
            match message:
                case None:
                    continue
                case Shutdown():
                    return
                case Configure():
                    studio = _start(message.config, outbox, make_library)
                case _ if studio is not None:
                    studio.put(message)
                case _:
                    log.warning("%s before Configure", type(message).__name__)


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(READ_BYTES)
    except OSError:
        return b""


def _decoded(body: bytes) -> ToWorker | None:
    try:
        message: ToWorker = decode_to_worker(body)
    except msgspec.DecodeError:
        log.exception("a message cannot be read")
        return None
    return message


def _start(config: WorkerConfig, outbox: Outbox, make_library: Callable[[WorkerConfig], Library]) -> Studio:
    logging.getLogger().setLevel(config.log_level)
    library = make_library(config)
    studio = Studio(config, library, outbox.send)
    threading.Thread(target=_render, args=(studio, outbox), name="render", daemon=True).start()
    outbox.send(Ready(os.getpid(), library.avatars(), studio.speeds))
    return studio


def _render(studio: Studio, outbox: Outbox) -> None:
    try:
        studio.run()
    finally:  # it never returns: a worker without it would answer no ping, so end now and be started anew
        log.critical("the render thread ended", exc_info=sys.exc_info())
        outbox.flush(1.0)
        os._exit(1)


def main(make_library: Callable[[WorkerConfig], Library] = DiskLibrary) -> None:
    """The command line of the process."""
    parser = argparse.ArgumentParser(prog="avatar.worker", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the socket to the server, inherited")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the server ends us in order
    faulthandler.enable()
    sys.setswitchinterval(SWITCH_S)
    run(parser.parse_args().fd, make_library)


if __name__ == "__main__":
    main()
