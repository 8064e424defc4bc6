"""Fuzz one harness for some time: ``python -m tests.fuzz offer --seconds 60``. Needs atheris (Linux, x86-64).

What it learns goes to ``.cache/fuzz/NAME``, a crash to ``.cache/fuzz/crash-NAME-...``; the committed corpus and the
offers of clients are read besides. ``tests.fuzz.distil`` then renews the committed corpus; a crash, made small, belongs
into ``tests/fuzz/crashers/NAME`` with the fix.
"""

import argparse
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
LEARNED = ROOT / ".cache" / "fuzz"
MAX_BYTES = 4096
ONE_INPUT_S = 20


def seeds(name: str, folder: Path) -> list[str]:
    """Folders of inputs beside what was learned."""
    from tests.strategies import OFFERS

    found = [folder / part / name for part in ("corpus", "crashers")]
    if name in ("offer", "fragment"):
        found += [OFFERS / "recorded", OFFERS / "imitated"]
    return [str(path) for path in found if path.is_dir()]


def main() -> None:
    """Read the command line and hand over to libFuzzer, which ends the process."""
    with atheris.instrument_imports(include=["whep_server", "avatar", "aioice", "aiortc.rtp"]):
        from tests.fuzz.harnesses import FOLDER, HARNESSES

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", choices=HARNESSES)
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()

    learned = LEARNED / chosen.name
    learned.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-max_len={MAX_BYTES}",
        f"-timeout={ONE_INPUT_S}",
        f"-dict={FOLDER / 'tokens.dict'}",
        f"-artifact_prefix={LEARNED}/crash-{chosen.name}-",
        f"-max_total_time={chosen.seconds}",
        "-print_final_stats=1",
    ]
    with HARNESSES[chosen.name]() as harness:
        atheris.Setup([sys.argv[0], *flags, str(learned), *seeds(chosen.name, FOLDER)], harness)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
