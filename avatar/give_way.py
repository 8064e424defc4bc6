"""Lets a process that prepares avatars take only what nobody on air needs."""

import contextlib
import os
import resource
from pathlib import Path


def give_way() -> None:
    """The lowest priority; where memory ends, this process goes first; no core file is written."""
    os.nice(19)
    with contextlib.suppress(OSError):  # below nice 19, which may be the server's own; a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # where memory ends all the same, this process goes, not the one on air
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
