"""What a JSON value looks like, written down and held against what came.

A shape is a type, a pattern that a string matches as a whole, a tuple of alternatives, a list with the shape of its
items, a dict with exactly these keys (one key ``...`` allows others), or a value to be equal to.
"""

import re
from typing import Final

import httpx

NUMBER: Final = (int, float)
OPTIONAL_TEXT: Final = (str, None)
FILLED: Final = re.compile(r"(?s).+")
"""Text that says something."""
SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
GENERATE_ID: Final = re.compile(r"gen_[0-9a-f]{8}")


def differences(value: object, shape: object, where: str = "$") -> list[str]:
    """Where a value is not what it should be; empty where it is."""
    if isinstance(shape, dict):
        return _object_differences(value, shape, where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [line for number, item in enumerate(value) for line in differences(item, shape[0], f"{where}[{number}]")]
    if isinstance(shape, tuple):
        return [] if any(not differences(value, each) for each in shape) else [f"{where}: {value!r} is none of {shape}"]
    return [] if _fits(value, shape) else [f"{where}: {value!r} is not {shape}"]


def _fits(value: object, shape: object) -> bool:
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if isinstance(shape, type):
        return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return type(value) is type(shape) and value == shape


def _object_differences(value: object, shape: dict[object, object], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    named = shape.keys() - {...}
    found = [f"{where}.{key}: missing" for key in named - value.keys()]
    if ... not in shape:
        found += [f"{where}.{key}: not in the contract" for key in value.keys() - named]
    for key in named & value.keys():
        found += differences(value[key], shape[key], f"{where}.{key}")
    return found


def is_json(response: httpx.Response) -> bool:
    """Whether a response says that it is JSON."""
    return response.headers["content-type"].partition(";")[0] == "application/json"


def assert_success(response: httpx.Response, shape: object) -> None:
    """A success of the original: 200, whatever the method, and JSON of that shape."""
    assert response.status_code == 200, f"{response.status_code} {response.text[:500]}"
    assert is_json(response), response.headers
    assert not (found := differences(response.json(), shape)), found


def assert_refused(response: httpx.Response, status: int, detail: object = FILLED) -> None:
    """An error of the original: ``detail`` and nothing beside it."""
    assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
    assert is_json(response), response.headers
    assert not (found := differences(response.json(), {"detail": detail})), found


def assert_invalid(response: httpx.Response, *loc: str) -> None:
    """422 with a list of what is wrong, ``loc`` among it."""
    assert_refused(response, 422, [{"loc": [(str, int)], "msg": FILLED, "type": FILLED, ...: ...}])
    places = [item["loc"] for item in response.json()["detail"]]
    assert list(loc) in places, f"{loc} is not told of, but {places}"
