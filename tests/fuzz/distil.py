"""Keep of all that a fuzzer learned what is needed to reach as much again: ``python -m tests.fuzz.distil offer``.

Reads ``.cache/fuzz/NAME`` and the committed corpus, smallest input first; whatever reaches a new pair of successive
lines of ours stays, and is written to ``tests/fuzz/corpus/NAME``. Needs no fuzzer.
"""

import argparse
import hashlib
import sys
from pathlib import Path
from types import FrameType
from typing import Final

from tests.fuzz.harnesses import FOLDER, HARNESSES, Harness

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = str(ROOT / "whep_server")
Arc = tuple[str, int, int]


class Tracer:
    """Notes which lines of ours follow which."""

    def __init__(self) -> None:
        self.seen: set[Arc] = set()
        self._last: dict[FrameType, int] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> "Tracer | None":
        """What ``sys.settrace`` calls."""
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "return":
            self._last.pop(frame, None)
        else:
            self.seen.add((frame.f_code.co_filename, self._last.get(frame, 0), frame.f_lineno))
            self._last[frame] = frame.f_lineno
        return self


def reached(harness: Harness, data: bytes) -> set[Arc]:
    """What an input reaches."""
    tracer = Tracer()
    sys.settrace(tracer)
    try:
        harness(data)
    finally:
        sys.settrace(None)
    return tracer.seen


def distil(name: str) -> int:
    """Renew the committed corpus of a harness; how many inputs it has."""
    folder = FOLDER / "corpus" / name
    learned = [*(ROOT / ".cache" / "fuzz" / name).glob("*"), *folder.glob("*")]
    inputs = sorted({path.read_bytes() for path in learned}, key=lambda data: (len(data), data))
    known: set[Arc] = set()
    kept = []
    with HARNESSES[name]() as harness:
        reached(harness, b"")  # caches fill
        for data in inputs:
            arcs = reached(harness, data)
            if not arcs <= known:
                known |= arcs
                kept.append(data)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*"):
        path.unlink()
    for data in kept:
        (folder / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)  # a name, as libFuzzer gives
    return len(kept)


def main() -> None:
    """One harness, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.distil", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {' '.join(HARNESSES)}; all by default")
    for name in parser.parse_args().names or HARNESSES:
        sys.stderr.write(f"{name}: {distil(name)} inputs\n")


if __name__ == "__main__":
    main()
