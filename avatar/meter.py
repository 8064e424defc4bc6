"""What a worker measures of itself."""

import threading
from collections import defaultdict


class StageMeter:
    """Seconds by stage, added up by several threads."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        """``seconds`` more were spent on ``stage``."""
        with self._lock:
            self._seconds[stage] += seconds

    def mean_ms(self, frames: int) -> dict[str, float]:
        """Milliseconds a frame, by stage."""
        with self._lock:
            return {stage: 1000 * seconds / max(1, frames) for stage, seconds in self._seconds.items()}


def rss_bytes() -> int:
    """Memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123  a path object costs more than the read
        return int(statm.read().split()[1]) * 4096
