"""The repository's own rules, checked on the source: who may import whom, no cycles, sizes, one name a file.

Imports go down only: app -> compat -> web -> live -> rtc -> signaling -> errors; live -> avatar.client and
avatar.messages; the avatar knows nothing of the server. The server process never loads torch or anything that touches
pixels.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("whep_server", "avatar", "bench", "conformance")
FROM_CHECKOUT = {"conformance"}
"""What runs from a checkout and is not in the wheel."""
MAX_LINES = 400

EVERYONE = {
    "whep_server",
    "whep_server.errors",
    "whep_server.settings",
    "whep_server.environment",
    "whep_server.log",
    "whep_server.tracing",
}
"""The package itself (its version) and what every part of the server may use."""

ALLOWED = {
    # a module or folder -> what of ours it may import beside itself; the longest name that fits counts
    "whep_server": set(),
    "whep_server.errors": set(),
    "whep_server.settings": {
        "whep_server.errors",
        "whep_server.signaling.ice_servers",
        "whep_server.setting_types",
        "whep_server.signaling.media_addresses",
    },
    "whep_server.environment": {"whep_server.settings"},
    "whep_server.setting_types": {
        "whep_server.signaling.media_addresses",
        "whep_server.signaling.tokens",
        "whep_server.signaling.web_origins",
    },
    "whep_server.log": {"whep_server.settings"},
    "whep_server.tracing": {"whep_server", "whep_server.settings"},
    "whep_server.signaling": {"whep_server.errors"},
    "whep_server.rtc": EVERYONE | {"whep_server.metrics", "whep_server.signaling", "avatar.messages"},
    "whep_server.live": EVERYONE
    | {"whep_server.metrics", "whep_server.rtc", "whep_server.signaling"}
    | {"avatar.client", "avatar.messages", "avatar.annexb"},
    "whep_server.web": EVERYONE
    | {"whep_server.metrics", "whep_server.live", "whep_server.signaling", "avatar.messages"},
    "whep_server.compat": EVERYONE
    | {"whep_server.web", "whep_server.live", "whep_server.signaling", "whep_server.metrics", "avatar.messages"},
    "whep_server.metrics": set(),
    "whep_server.app": EVERYONE
    | {"whep_server.compat", "whep_server.web", "whep_server.live", "whep_server.rtc", "whep_server.metrics"},
    "whep_server.command": {"whep_server", "avatar", "bench"},
    "whep_server.__main__": {"whep_server", "avatar", "bench"},
    "avatar": {"avatar"},
    "avatar.messages": {
        "avatar.formats",
        "avatar.memory_messages",
        "avatar.quality",
        "avatar.speech_messages",
        "avatar.user_avatars",
    },
    "avatar.memory_messages": set(),
    "avatar.formats": set(),
    "avatar.annexb": set(),
    "avatar.speech_messages": set(),
    "avatar.quality": set(),
    "avatar.user_avatars": {"avatar.formats", "avatar.quality"},
    "avatar.motion": set(),
    "avatar.poses": {"avatar.formats", "avatar.motion"},
    "avatar.framing": {"avatar.messages"},
    "avatar.client": {"avatar.messages", "avatar.framing"},
    "avatar.prepared": {  # it knows each engine's loader
        "avatar.engines.view",
        "avatar.engines.viseme.pose",
        "avatar.engines.viseme.mouth",
        "avatar.engines.viseme.warp_state",
        "avatar.engines.musetalk.musetalk_state",
        "avatar.formats",
    },
    "avatar.engines": {"avatar.engines", "avatar.motion", "avatar.prepared"},
    "avatar.engines.viseme.bake": {"avatar"},  # these two make and show what ships; the worker never imports them
    "avatar.engines.viseme.sheets": {"avatar"},
    "avatar.engines.musetalk.original_avatar": {"avatar"},  # these two read and write whole directories
    "avatar.engines.musetalk.adopt": {"avatar"},
    "bench": {"whep_server", "avatar"},
    "conformance": set(),  # it judges any server, so it knows nothing of ours
}

COMMANDS = ("whep_server.__main__", "whep_server.command")
"""The command line: all of ours may be used there, and only its ``serve`` is the server."""

ENVIRONMENT = {
    "whep_server.settings": "reads it",
    "whep_server.environment": "says what of it is read, and lends some of it",
    "avatar.client": "hands it on to the worker",
    "avatar.worker": "sets what torch reads, before torch is loaded",
}

PIXELS = {"torch", "cv2", "thorvg_python", "av"}
"""What only the worker loads (aiortc loads av by itself; our server code must not touch it)."""


FOREIGN = ROOT / "bench" / "rivals"
"""Scripts for other people's servers: run with what is installed beside those, no part of any package."""


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the product as (dotted name, file)."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.parent == FOREIGN:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def absolute(name: str, node: ast.ImportFrom) -> str:
    """The dotted name an import statement starts from, relative ones resolved."""
    if not node.level:
        return node.module or ""
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def imports_of(name: str) -> frozenset[str]:
    """What a module imports, at any depth and under TYPE_CHECKING too; names of modules as far as they are ours."""
    found: set[str] = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in MODULES else base)
    return frozenset(found)


def is_within(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + ".")


def rule_of(name: str) -> str:
    """The longest entry of ALLOWED that covers a module."""
    return max((rule for rule in ALLOWED if is_within(name, rule)), key=len)


def may_import(name: str, target: str) -> bool:
    """Whether the rules let a module import another. The server's own package, as an entry, is its version alone."""
    rule = rule_of(name)
    if rule == "whep_server":  # a module nobody wrote a rule for
        return target in EVERYONE
    if is_within(target, rule):
        return True
    whole = rule in (*COMMANDS, "bench")
    return any(
        target == entry if entry == "whep_server" and not whole else is_within(target, entry) for entry in ALLOWED[rule]
    )


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_only(name):
    ours = {target for target in imports_of(name) if target.split(".")[0] in PACKAGES}
    assert not {target for target in ours if not may_import(name, target)}, f"{name} may not import these"


def test_there_is_no_import_cycle():
    graph = {name: sorted(imports_of(name) & MODULES.keys() - {name}) for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def test_the_server_never_imports_what_touches_pixels():
    """Directly, or through any module of ours that it loads; the command line's other commands are not the server."""
    commands = {name for name in MODULES for command in COMMANDS if is_within(name, command)}
    waiting = [name for name in MODULES if is_within(name, "whep_server") and name not in commands]
    waiting.append("whep_server.command.serve")
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        touched = {target.split(".")[0] for target in imports_of(name)} & PIXELS
        assert not touched, f"{name}, part of the server process, imports {touched}"
        waiting += imports_of(name) & MODULES.keys()


def test_loading_the_server_loads_neither_torch_nor_pictures():
    script = "import json, sys, whep_server.app; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout)} | set(json.loads(result.stdout))
    assert not {"torch", "cv2", "thorvg_python", "avatar.worker", "opentelemetry", "requests"} & loaded


def declared_distributions() -> set[str]:
    """What pyproject says that the product, its training and its tests need; names normalised."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[^\w.-]", line)[0].replace("_", "-").lower() for group in groups for line in group}


def test_everything_imported_is_declared():
    """What another package happens to bring along may be gone with its next release."""
    owners = packages_distributions()
    foreign = (
        {
            target.split(".")[0]
            for name in MODULES
            for target in imports_of(name)
            if target.split(".")[0] not in PACKAGES
        }
        - sys.stdlib_module_names
        - {"tests"}
    )  # conformance/test_ours.py starts our server by the tests' means
    by_name = {name: {owner.replace("_", "-").lower() for owner in owners.get(name, [name])} for name in foreign}
    assert not {name for name, owned in by_name.items() if not owned & declared_distributions()}


def attribute_path(node: ast.expr) -> str:
    """``a.b.c`` of an expression, as far as it is names; calls and subscripts count as ``?``."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{attribute_path(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


@pytest.mark.parametrize("name", [name for name in MODULES if not is_within(name, "whep_server.rtc")])
def test_every_task_has_an_owner(name):
    """``create_task`` only on a task group; ``ensure_future`` nowhere. aiortc's own tasks stay inside rtc/."""
    for node in ast.walk(tree_of(name)):
        called = attribute_path(node.func) if isinstance(node, ast.Call) else ""
        owner, _, method = called.rpartition(".")
        bare = method == "create_task" and (not owner or owner == "asyncio" or owner.endswith(("loop", "?")))
        assert not bare and method != "ensure_future", f"{MODULES[name]}:{getattr(node, 'lineno', 0)} {called}"


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ENVIRONMENT])
def test_only_the_settings_read_the_environment(name):
    for node in ast.walk(tree_of(name)):
        read = attribute_path(node) if isinstance(node, ast.Attribute) else ""
        assert read not in {"os.environ", "os.environb", "os.getenv"}, f"{MODULES[name]}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not {alias.name for alias in node.names} & {"environ", "environb", "getenv"}


def imported_by_tests(path: Path) -> set[str]:
    """What a file of the tests imports, and the tests' own modules that it loads import in turn."""
    seen: set[Path] = set()
    found: set[str] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen or not current.exists():
            continue
        seen.add(current)
        for node in ast.walk(ast.parse(current.read_text("utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found.update(names)
            waiting += [ROOT / f"{name.replace('.', '/')}.py" for name in names if is_within(name, "tests")]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tests/contract").glob("*.py")), ids=lambda path: path.name)
def test_the_contract_is_judged_from_outside(path):
    """So that it can be held against the original server."""
    ours = {name for name in imported_by_tests(path) if name.split(".")[0] in PACKAGES}
    assert not ours


def source_files() -> list[Path]:
    kinds = {".py", ".js", ".css", ".html"}
    folders = (*PACKAGES, "tests", "templates", "assets")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds)


CITATION = re.compile(r"\[([IEX]-[A-Z]+-\d\d)\]")


def test_every_claimed_clause_is_done_in_one_place():
    """The register says what is claimed; each such id stands once in the server's code, and nothing else is cited."""
    register = tomllib.loads((ROOT / "conformance/clauses.toml").read_text("utf-8"))
    server = [path for name, path in MODULES.items() if is_within(name, "whep_server")]
    cited = Counter(clause for path in server for clause in CITATION.findall(path.read_text("utf-8")))
    claimed = {name for name, clause in register.items() if clause["claimed"]}
    assert claimed == cited.keys()
    assert not [clause for clause, count in cited.items() if count > 1]


def test_no_file_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in source_files()}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}


def test_no_two_python_files_have_one_name():
    fixed = {"__init__.py", "__main__.py", "conftest.py"}  # Python's and pytest's own names
    counts = Counter(path.name for path in source_files() if path.suffix == ".py" and path.name not in fixed)
    assert not [name for name, count in counts.items() if count > 1]


def test_every_package_is_a_package():
    """Hatch ships what it finds; a folder without __init__ would import from a checkout and not from a wheel."""
    folders = {path.parent for path in MODULES.values()}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_what_a_package_reexports_it_lists():
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            continue
        tree = tree_of(name)
        names = {
            alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        listed = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and attribute_path(node.targets[0]) == "__all__"
        ]
        assert names <= set(listed[0] if listed else ()), f"{path} imports names that __all__ does not list"


def test_the_wheel_ships_pages_and_assets():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) == set(PACKAGES) - FROM_CHECKOUT
    assert wheel["force-include"] == {"assets": "whep_server/assets", "templates": "whep_server/templates"}
    for folder in wheel["force-include"]:
        assert any((ROOT / folder).rglob("*.*")), f"{folder} is empty"


def test_the_version_is_one():
    """The project file, the package and the newest changelog entry name the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    package = re.search(r'__version__ = "(.+)"', (ROOT / "whep_server/__init__.py").read_text("utf-8"))
    entry = re.search(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert package and entry and package[1] == project == entry[1]
