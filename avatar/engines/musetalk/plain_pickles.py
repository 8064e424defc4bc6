"""Lists of numbers out of a pickle that somebody else has written, without running anything of it.

A pickle is a program: it names functions and calls them. Here the only names it may use are those with which lists,
tuples and numpy's numbers and arrays are written, and each stands for a plain stand-in of ours; numpy itself never sees
what the file says.
"""

import pickle
import struct
from pathlib import Path
from typing import Any, Final

MOST_BYTES: Final = 16 * 1024 * 1024
"""A minute of boxes is 200 KB."""
_MOST_NUMBERS: Final = 1_000_000
_FORMATS: Final = {
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f4": "f",
    "f8": "d",
}


class NotPlain(ValueError):
    """The file holds something other than lists of numbers, or is no pickle."""


class _Kind:
    """numpy.dtype: the kind of number, and its byte order."""

    def __init__(self, name: object, *_: object) -> None:
        if name not in _FORMATS:
            raise NotPlain(f"numbers of the kind {str(name)[:20]!r}")
        self.format, self.order = _FORMATS[str(name)], "<"

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in (">", "<", "|", "="):
            self.order = ">" if state[1] == ">" else "<"

    def numbers(self, data: object) -> list[float]:
        """Errors: NotPlain."""
        size = struct.calcsize(self.format)
        if isinstance(data, str):  # as protocol 2 writes bytes
            data = data.encode("latin-1")
        if not isinstance(data, bytes) or len(data) % size or len(data) // size > _MOST_NUMBERS:
            raise NotPlain("an array that is cut off")
        return list(struct.unpack(f"{self.order}{len(data) // size}{self.format}", data))


class _Array:
    """numpy.ndarray of one dimension: its numbers, once they are told."""

    def __init__(self, *_: object) -> None:
        self.numbers: list[float] = []

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, (int(),), _Kind() as kind, _, data):
                self.numbers = kind.numbers(data)
            case _:
                raise NotPlain("an array of more than one dimension, or of what is no number")


def _from_buffer(data: object, kind: object, shape: object, _: object) -> _Array:
    """``_frombuffer``, by which protocol 5 writes arrays."""
    held = bytes(data) if isinstance(data, bytearray) else data
    array = _Array()
    array.__setstate__((None, shape, kind, None, held))
    return array


def _scalar(kind: object, data: object) -> float:
    numbers = kind.numbers(data) if isinstance(kind, _Kind) else []
    if len(numbers) != 1:
        raise NotPlain("a number that is none")
    return numbers[0]


def _bytes(text: object, encoding: object) -> bytes:
    """``_codecs.encode``, by which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise NotPlain("bytes in an unknown encoding")
    return text.encode("latin-1")


_STAND_INS: Final[dict[tuple[str, str], object]] = {
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _bytes,
    **{
        (f"{core}.multiarray", name): stand_in
        for core in ("numpy.core", "numpy._core")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _scalar))
    },
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in ("numpy.core", "numpy._core")},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise NotPlain(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: object) -> Any:
        raise NotPlain(f"it refers to {pid!r} outside")


def read_rows(path: Path) -> list[list[float]]:
    """A list of rows of numbers. Errors: OSError; NotPlain for anything else."""
    if path.stat().st_size > MOST_BYTES:
        raise NotPlain(f"{path.stat().st_size} bytes are too many for boxes")
    try:
        with path.open("rb") as file:
            content = _Reader(file).load()
    except NotPlain:
        raise
    except Exception as error:  # the unpickler's own errors are of every kind; none of them is ours to tell apart
        raise NotPlain(f"it cannot be read: {type(error).__name__}: {error}") from error
    if isinstance(content, _Array):
        content = [content]
    if not isinstance(content, list | tuple):
        raise NotPlain(f"it holds no list, but {type(content).__name__}")
    return [_row(each) for each in content]


def _row(each: object) -> list[float]:
    numbers = each.numbers if isinstance(each, _Array) else each
    if not isinstance(numbers, list | tuple) or not all(isinstance(one, int | float) for one in numbers):
        raise NotPlain("an entry that is no row of numbers")
    return [float(one) for one in numbers]
