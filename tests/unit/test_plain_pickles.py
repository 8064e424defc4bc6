import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.engines.musetalk.plain_pickles import MOST_BYTES, NotPlain, read_rows

BOXES = [[np.int64(1), np.int32(2), np.float32(3.5), 4], (5, 6, 7, 8), np.array([9, 10, 11, 12]), (0.0, 0.0, 0.0, 0.0)]
PLAIN = [[1.0, 2.0, 3.5, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0], [0.0] * 4]


@pytest.mark.parametrize("protocol", range(6))
def test_lists_of_boxes_are_read_whoever_wrote_them(tmp_path: Path, protocol: int):
    path = tmp_path / "coords.pkl"
    path.write_bytes(pickle.dumps(BOXES, protocol))
    assert read_rows(path) == PLAIN


def test_older_names_of_numpy_and_other_byte_orders_are_read(tmp_path: Path):
    path = tmp_path / "coords.pkl"
    written = pickle.dumps([[np.int32(1)], np.array([258, 2], ">i2")], 2)
    path.write_bytes(written.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_rows(path) == [[1.0], [258.0, 2.0]]


class Evil:
    def __init__(self, call: object, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "content",
    [
        Evil(os.system, "touch harmed"),
        Evil(eval, "open('harmed', 'w')"),
        [Evil(getattr, "", "join")],
        {"a": 1},
        [["a", "b"]],
        [[1, [2]]],
        [np.zeros((2, 2))],
        [np.array(["x"])],
        [np.array([object()])],
        7,
    ],
)
def test_everything_else_is_refused_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "coords.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(NotPlain):
        read_rows(path)
    assert [each.name for each in tmp_path.iterdir()] == ["coords.pkl"]


def test_a_file_too_large_is_not_opened(tmp_path: Path):
    path = tmp_path / "coords.pkl"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(NotPlain, match="too many"):
        read_rows(path)


WRITTEN = pickle.dumps(BOXES, 4)


@settings(max_examples=300)
@given(
    data=st.binary(max_size=200)
    | st.builds(
        lambda at, byte: WRITTEN[:at] + bytes([byte]) + WRITTEN[at + 1 :],
        st.integers(0, len(WRITTEN) - 1),
        st.integers(0, 255),
    )
)
def test_any_bytes_are_rows_or_not_plain(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    path.write_bytes(data)
    try:
        rows = read_rows(path)
    except NotPlain:
        return
    assert all(isinstance(number, float) for row in rows for number in row)
