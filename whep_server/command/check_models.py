"""Whether the engine of filmed faces has what it needs: its libraries, its files, a device, and tensors that fit."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from avatar.engines.musetalk.model_files import SOURCES, find_faults
from whep_server.command.findings import Finding, probe
from whep_server.settings import PREFIX, Settings

NAME: Final = "musetalk"
LIBRARIES: Final = ("diffusers", "transformers", "torch")
LOAD_PROBE: Final = """
import json, sys
from pathlib import Path
from avatar.engines.musetalk.generator import Speedup
from avatar.engines.musetalk.musetalk_engine import EngineOptions
from avatar.engines.musetalk.networks import ModelsInvalid, load_networks
folder, device, precision, speedup = sys.argv[1:]
options, wrong = EngineOptions(device, precision, Speedup(speedup)), {}
try:
    place = options.place()
    made = {"device": str(place), "kind": str(options.kind(place)).removeprefix("torch.")}
except ValueError as error:
    made, wrong = {}, {"device": str(error)}
try:
    load_networks(Path(folder))
except ModelsInvalid as error:
    wrong["models"] = str(error)
print(json.dumps({"made": made, "wrong": wrong}))
"""


def check_models(settings: Settings) -> Iterator[Finding]:
    """Nothing where no folder of models is named: then nobody wants this engine."""
    if not settings.musetalk_models:
        says = f"{PREFIX}MUSETALK_MODELS names no folder: avatars made for MuseTalk stay off air, others do not need it"
        yield Finding(NAME, True, says)
        return
    folder = Path(settings.musetalk_models)
    versions = {name: _version(name) for name in LIBRARIES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        says = f"{', '.join(missing)}: not installed"
        yield Finding(NAME, False, says, "pip install 'whep-avatar[musetalk]'", fatal=False)
    faults = find_faults(folder)
    for fault in faults:
        yield Finding(NAME, False, str(fault), fault.fix, fatal=False)
    if faults or missing:
        return
    told = probe(
        LOAD_PROBE, str(folder), settings.musetalk_device, settings.musetalk_precision, settings.musetalk_speedup
    )
    if isinstance(told, str):
        yield Finding(NAME, False, f"{folder}: {told}", "mend what is said above first", fatal=False)
        return
    yield from _told(folder, told, ", ".join(f"{name} {version}" for name, version in versions.items()))


def _version(library: str) -> str | None:
    """None where it is not installed. To import it would take many times as long; it is imported to load the models."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _told(folder: Path, told: dict[str, object], versions: str) -> Iterator[Finding]:
    made, wrong = (dict(part) if isinstance(part := told[name], dict) else {} for name in ("made", "wrong"))
    if "device" in wrong:
        fix = f"set {PREFIX}MUSETALK_DEVICE to auto, or install a build of torch for this machine's GPU and its driver"
        yield Finding(NAME, False, wrong["device"], fix, fatal=False)
    if "models" in wrong:
        yield Finding(NAME, False, wrong["models"], f"fetch it anew: {', '.join(SOURCES.values())}", fatal=False)
    if wrong:
        return
    yield Finding(NAME, True, f"{folder} was loaded; {versions}")
    slow = made["device"] == "cpu"
    says = f"faces are made on {made['device']} in {made['kind']}" + (
        ": seconds for each, a GPU is needed" if slow else ""
    )
    yield Finding(NAME, not slow, says, "a machine with a GPU, and torch built for it", fatal=False)
