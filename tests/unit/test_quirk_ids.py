"""Every quirk Q1 to Q35 and every gap A1 to A23 of the project's list has a test that carries its number."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
LISTED = {"q": 35, "a": 23}
NUMBERED = re.compile(r"test((?:_[qa]\d\d)+)_")
KNOWN = [f"{letter}{number:02}" for letter, count in LISTED.items() for number in range(1, count + 1)]


@cache
def carried() -> Counter[str]:
    """How many tests carry a number."""
    found: Counter[str] = Counter()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := NUMBERED.match(node.name)):
                found.update(match[1].strip("_").split("_"))
    return found


@pytest.mark.parametrize("number", KNOWN)
def test_there_is_a_test_for(number):
    assert carried()[number]


def test_no_test_carries_a_number_that_is_not_on_the_list():
    assert not carried().keys() - set(KNOWN)
