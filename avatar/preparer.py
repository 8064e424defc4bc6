"""Makes and deletes a user's avatars for the worker, on threads that are not those who draw and encode.

Preparing runs in a child process (``avatar.prepare``), one at a time. What it makes lies in a directory that no avatar
can be called; it gets its name in one step when it is whole, so that nobody ever loads half of one. Until then an order
can be cancelled: the process is killed, and what it has made goes.
"""

import contextlib
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec

from avatar.engines.musetalk.make_latents import NoModels, check_models
from avatar.latents import MOST_S as LATENTS_S
from avatar.latents import LatentsOrder
from avatar.messages import FromWorker, MuseTalkConfig, WorkerConfig
from avatar.prepare import ENGINES, Failed, Line, Made, Order, Refused, Step
from avatar.prepared import is_name
from avatar.user_avatars import (
    AvatarDropped,
    AvatarInfo,
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    AvatarStep,
    CancelAvatar,
    DropAvatar,
    PrepareAvatar,
)

log = logging.getLogger(__name__)

COMMAND: Final = ("-P", "-m", "avatar.prepare")
LATENTS_COMMAND: Final = ("-P", "-m", "avatar.latents")
BEFORE_LATENTS: Final = 0.6
"""Part of the work for MuseTalk that is done when only the latents are missing."""
MOST_S: Final = 600.0
"""Longest a preparation may take: 10 s of video take half a minute on one core."""
LEFT_S: Final = 3600.0
"""So long after its last change nobody works on a directory any more."""
STEP_S: Final = 0.25
"""Of one stage, the server is told no more often how far it is."""
CANCELLED: Final = "it was cancelled"
_DIED: Final = "the process that prepared it"


class Shelf(Protocol):
    """Where avatars are: ``avatar.library.Library``."""

    def avatars(self) -> list[AvatarInfo]:
        """All that can go on air."""
        ...


class Memory(Protocol):
    """Avatars that are loaded: ``avatar.avatar_memory.AvatarMemory``."""

    def forget(self, name: str, then: Callable[[], None] = ...) -> bool:
        """Have it loaded anew, and ``then`` happen before; whether it was there."""
        ...


class CannotPrepare(Exception):
    """Why nothing comes of an order."""

    def __init__(self, reason: AvatarRefusal, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Stop:
    """Whether an order is to come to nothing: said by one thread, while another may be at work on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said = self._begun = False
        self._process: subprocess.Popen[bytes] | None = None

    def say(self) -> bool:
        """Have it end; whether nobody had begun, so that nobody else will answer."""
        with self._lock:
            first, self._said = not self._said, True
            if self._process is not None:
                self._process.kill()
            return first and not self._begun

    def begin(self) -> bool:
        """Whether the work may begin."""
        with self._lock:
            self._begun = not self._said
            return self._begun

    def ends(self, process: subprocess.Popen[bytes]) -> None:
        """Kill that process, too, when it is said."""
        with self._lock:
            self._process = process
            if self._said:
                process.kill()

    def check(self) -> None:
        """Errors: CannotPrepare where it is said."""
        if self._said:
            raise CannotPrepare(AvatarRefusal.CANCELLED, CANCELLED)


class Preparer:
    """Takes orders, one after another; answers each."""

    def __init__(self, config: WorkerConfig, shelf: Shelf, memory: Memory, send: Callable[[FromWorker], None]) -> None:
        self._shipped = Path(config.avatars)
        self._root = Path(config.prepared) if config.prepared else None
        self._musetalk = config.musetalk
        self._shelf, self._memory, self._send = shelf, memory, send
        self._makers = ThreadPoolExecutor(1, "prepare")
        self._droppers = ThreadPoolExecutor(1, "drop")  # deleting one avatar does not wait until another is made
        self._stops: dict[str, Stop] = {}
        """By job, of what is not answered."""
        if self._root is not None:
            self._droppers.submit(_sweep, self._root)

    def put(self, order: PrepareAvatar | CancelAvatar | DropAvatar) -> None:
        """Begin, soon. Any thread."""
        match order:
            case PrepareAvatar():
                stop = self._stops[order.job] = Stop()
                self._makers.submit(self._make, order, stop)
            case CancelAvatar():
                self._cancel(order.job)
            case DropAvatar():
                self._droppers.submit(self._answered, order, lambda: self._drop(order))

    def _make(self, order: PrepareAvatar, stop: Stop) -> None:
        if stop.begin():
            self._answered(order, lambda: self._prepare(order, stop))
        self._stops.pop(order.job, None)

    def _cancel(self, job: str) -> None:
        stop = self._stops.get(job)
        if stop is not None and stop.say():
            self._send(AvatarRefused(job, AvatarRefusal.CANCELLED, CANCELLED))

    def _answered(self, order: PrepareAvatar | DropAvatar, work: Callable[[], FromWorker]) -> None:
        try:
            answer = work()
        except CannotPrepare as error:
            log.info("avatar %s: %s", order.avatar, error.detail)
            answer = AvatarRefused(order.job, error.reason, error.detail)
        except OSError as error:
            log.warning("avatar %s: %s", order.avatar, error)
            detail = f"the avatars' directory cannot be changed: {error.strerror}"
            answer = AvatarRefused(order.job, AvatarRefusal.TROUBLE, detail)
        except Exception as error:
            log.exception("avatar %s", order.avatar)
            answer = AvatarRefused(order.job, AvatarRefusal.TROUBLE, f"{type(error).__name__}: {error}")
        self._send(answer)

    def _prepare(self, order: PrepareAvatar, stop: Stop) -> AvatarPrepared:
        told = Steps(order.job, self._send)
        told.hear(Step("starting", 0.0))
        with fresh_avatar(self._own_root(order.avatar), order, self._musetalk, told.hear, stop) as fresh:
            stop.check()  # what comes later comes too late
            self._memory.forget(order.avatar, fresh.install)
        notes = fresh.made.notes
        log.info(
            "avatar %s: prepared, %d pictures%s", order.avatar, fresh.made.pictures, "".join(f"; {n}" for n in notes)
        )
        return AvatarPrepared(order.job, self._shelf.avatars(), notes, fresh.made.quality)

    def _drop(self, order: DropAvatar) -> AvatarDropped:
        if not order.from_disk:
            return AvatarDropped(order.job, self._memory.forget(order.avatar), "", self._shelf.avatars())
        directory = self._own_root(order.avatar) / order.avatar
        if not directory.is_dir():
            raise CannotPrepare(AvatarRefusal.UNKNOWN, f"no avatar {order.avatar!r}")
        evicted = self._memory.forget(order.avatar, lambda: _discard(directory))
        log.info("avatar %s: deleted", order.avatar)
        return AvatarDropped(order.job, evicted, str(directory), self._shelf.avatars())

    def _own_root(self, name: str) -> Path:
        """Where users' avatars are. Errors: CannotPrepare where ``name`` cannot be one of them."""
        check_name(self._shipped, name)
        if self._root is None:
            raise CannotPrepare(AvatarRefusal.TROUBLE, "there is no directory for users' avatars")
        return self._root


def check_name(shipped: Path, name: str) -> None:
    """Errors: CannotPrepare where a user's avatar cannot be called so."""
    if not is_name(name):
        raise CannotPrepare(AvatarRefusal.UNKNOWN, f"{name[:80]!r} is no avatar's name")
    if (shipped / name).is_dir():
        raise CannotPrepare(AvatarRefusal.KEPT, f"{name} is shipped with the program")


class Steps:
    """Passes on how far an order is: every new stage, and how much of one is done every ``STEP_S``."""

    def __init__(self, job: str, send: Callable[[FromWorker], None]) -> None:
        self._job, self._send = job, send
        self._stage: str | None = None
        self._sent_s = 0.0

    def hear(self, step: Step) -> None:
        """What the process says."""
        now_s = time.monotonic()
        if step.stage != self._stage or now_s - self._sent_s >= STEP_S:
            self._stage, self._sent_s = step.stage, now_s
            self._send(AvatarStep(self._job, step.stage, step.done))


@dataclass(frozen=True, slots=True)
class Fresh:
    """An avatar that is made, and has no name yet."""

    made: Made
    install: Callable[[], None]
    """Put it where it belongs, in place of what is there."""


@contextlib.contextmanager
def fresh_avatar(
    root: Path, order: PrepareAvatar, models: MuseTalkConfig, heard: Callable[[Step], None], stop: Stop | None = None
) -> Iterator[Fresh]:
    """Make an avatar under ``root``; it is thrown away where it has not been installed at the end of the block.

    Errors: CannotPrepare, also where ``stop`` says so; OSError.
    """
    if order.engine not in ENGINES:
        raise CannotPrepare(AvatarRefusal.VIDEO, f"no engine {order.engine[:40]!r}; there are {', '.join(ENGINES)}")
    with hidden_folder(root, order.job) as fresh:
        to_be_made = Order(
            order.video, str(fresh), order.avatar, order.title, order.sizes, order.engine, order.landmarks
        )
        stop = stop or Stop()
        if order.engine == "musetalk":
            made = _made_for_musetalk(to_be_made, models, heard, stop)
        else:
            made = run_preparation(to_be_made, heard, stop=stop)
        yield Fresh(made, lambda: put_in_place(fresh, root / order.avatar))


def _made_for_musetalk(order: Order, models: MuseTalkConfig, heard: Callable[[Step], None], stop: Stop) -> Made:
    """Everything, then the latents, by another process. Errors: CannotPrepare."""
    try:
        check_models(models.models)  # before the minute that all else takes
    except NoModels as error:
        raise CannotPrepare(AvatarRefusal.TROUBLE, str(error)) from error
    made = run_preparation(order, lambda step: heard(Step(step.stage, BEFORE_LATENTS * step.done)), stop=stop)
    latents = _Task(LATENTS_COMMAND, LatentsOrder(order.out, models, made), LATENTS_S, AvatarRefusal.TROUBLE)
    return _run(latents, lambda step: heard(Step(step.stage, BEFORE_LATENTS + (1 - BEFORE_LATENTS) * step.done)), stop)


@contextlib.contextmanager
def hidden_folder(root: Path, job: str) -> Iterator[Path]:
    """Where an avatar is made under ``root``: yet to be created, and thrown away at the end where it is still there."""
    root.mkdir(parents=True, exist_ok=True)
    fresh = root / f".new-{job}"
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def run_preparation(
    order: Order, heard: Callable[[Step], None], most_s: float = MOST_S, *, stop: Stop | None = None
) -> Made:
    """Have a process make it, and wait.

    Errors: CannotPrepare, also where the process dies, takes too long, or ``stop`` says so.
    """
    return _run(_Task(COMMAND, order, most_s, AvatarRefusal.VIDEO), heard, stop or Stop())


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process is to do."""

    command: Sequence[str]
    order: msgspec.Struct
    most_s: float
    blame: AvatarRefusal
    """Why nothing comes of it where it dies or takes too long."""


def _run(task: _Task, heard: Callable[[Step], None], stop: Stop) -> Made:
    with subprocess.Popen(
        [sys.executable, *task.command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for the server alone; not in a session of its own, as Linux shares time between sessions first
        # (autogroup), so that priorities would count for nothing
        process_group=0,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        began_s = time.monotonic()
        late = threading.Timer(task.most_s, process.kill)
        late.start()
        stop.ends(process)
        try:
            with contextlib.suppress(BrokenPipeError):  # it is dead already: said below
                process.stdin.write(msgspec.json.encode(task.order))
                process.stdin.close()
            said = _listen(process.stdout, heard)
        finally:
            late.cancel()
            process.kill()
    stop.check()
    match said:
        case Made():
            return said
        case Refused():
            raise CannotPrepare(AvatarRefusal.VIDEO, said.detail)
        case Failed():
            raise CannotPrepare(AvatarRefusal.TROUBLE, f"it cannot be prepared now: {said.detail}")
        case _ if time.monotonic() - began_s >= task.most_s:
            raise CannotPrepare(task.blame, f"preparing it took longer than {task.most_s:.0f} s")
        case _:
            raise CannotPrepare(task.blame, f"{_DIED} {_fate(process.wait())}")


def _listen(lines: IO[bytes], heard: Callable[[Step], None]) -> Made | Refused | Failed | None:
    """What came of it; None where the process ended without a word."""
    for raw in lines:
        try:
            line: Line = msgspec.json.decode(raw, type=Line)
        except msgspec.DecodeError:
            log.warning("preparing: %s", raw.decode(errors="replace").rstrip()[:500])
            continue
        if not isinstance(line, Step):
            return line
        heard(line)
    return None


def _fate(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"


def put_in_place(fresh: Path, directory: Path) -> None:
    """Put a whole avatar in the place of what is there."""
    hidden = _hidden(directory) if directory.is_dir() else None
    fresh.rename(directory)
    if hidden is not None:
        _delete(hidden)


def _discard(directory: Path) -> None:
    """Out of sight in one step, then away."""
    _delete(_hidden(directory))


def _hidden(directory: Path) -> Path:
    """Rename it to what no avatar is called."""
    return directory.rename(directory.with_name(f".old-{uuid.uuid4().hex}"))


def _delete(hidden: Path) -> None:
    """Of a link, what it points to stays."""
    if hidden.is_symlink():
        hidden.unlink()
    else:
        shutil.rmtree(hidden)


def _sweep(root: Path) -> None:
    """Delete what a crash left of avatars that were being made or deleted."""
    for left in (*root.glob(".new-*"), *root.glob(".old-*")):
        with contextlib.suppress(OSError):  # another server may do the same
            if time.time() - left.stat().st_mtime > LEFT_S:
                shutil.rmtree(left)
