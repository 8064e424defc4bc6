"""What docs/reliability.md names is there: every test, metric and setting; and every fault has a test."""

import ast
import re
from pathlib import Path

import pytest

from tests.unit.test_dashboard import GIVEN
from whep_server.environment import variables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reliability.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| Fault", "| ---"))
]
TEST = re.compile(r"(tests/[\w/]+\.py)::(\w+)")


def names_in(path: str) -> set[str]:
    """The names of a file's tests."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_fault_has_tests_that_are_there(row: list[str]):
    assert len(row) == 5
    named = TEST.findall(row[4])
    assert named and " ".join(f"`{path}::{name}`" for path, name in named) == row[4]
    for path, name in named:
        assert name in names_in(path), f"{path}::{name}"


def test_every_metric_and_setting_named_is_one():
    shown = re.findall(r"`([a-z_]+)(?:{(\w+)=[^`]*)?`", " ".join(row[3] for row in ROWS))
    assert len(shown) > 20
    for name, label in shown:
        full = name if name.startswith("process_") else f"whep_avatar_{name}"
        assert full in GIVEN and (not label or label in GIVEN[full]), name
    assert set(re.findall(r"WHEP_AVATAR_[A-Z_]+", TEXT)) <= set(variables())
    assert TEST.findall(TEXT.partition("```sh")[2].partition("```\n")[0])
