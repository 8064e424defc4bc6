"""How many streams may speak at one time: what was set, or measured, of each engine that there is."""

from collections.abc import Iterator
from typing import Final

from whep_server.command.findings import Finding
from whep_server.live.capacity import EMBEDDED, ENGINES, MUSETALK, find_capacity, measure_with
from whep_server.settings import PREFIX, Settings

NAME: Final = "capacity"
UNKNOWN: Final = {
    EMBEDDED: "nobody is refused",
    MUSETALK: "the server goes by the speed of the engine's warm-up",
}
"""What is done where it is not measured."""


def check_capacity(settings: Settings) -> Iterator[Finding]:
    """One line for each engine; what was measured for another kind of server is to be measured again."""
    if settings.max_speaking:
        yield Finding(NAME, True, f"{settings.max_speaking} streams may speak at one time ({PREFIX}MAX_SPEAKING)")
        return
    for engine in ENGINES:
        if engine == MUSETALK and not settings.musetalk_models:
            continue
        found = find_capacity(settings, engine)
        says = found.says if found.limit or found.wrong else f"{found.says}, {UNKNOWN[engine]}; {measure_with(engine)}"
        yield Finding(NAME, not found.wrong, says, measure_with(engine), fatal=False)
