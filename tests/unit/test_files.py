"""Which files are served, and which part of them."""

from pathlib import Path

import pytest

from whep_server.errors import NoSuchFile
from whep_server.web.files import find, parse_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("bytes=0-", (0, 10)), ("bytes=0-0", (0, 1)), ("bytes=3-5", (3, 6)), ("bytes=8-99", (8, 10)),
        ("bytes=-1", (9, 10)), ("bytes=-99", (0, 10)), ("bytes=-0", None), ("bytes=10-", None), ("bytes=5-3", None),
        ("bytes=-", None), ("bytes=0-1,3-4", None), ("lines=0-1", None), ("bytes=a-b", None), ("bytes=٣-٤", None),
        (f"bytes={'9' * 5000}-", None), (f"bytes=-{'9' * 5000}", None), (f"bytes=3-{'9' * 18}", (3, 10)),
    ],
)  # fmt: skip
def test_ranges(header, part):
    assert parse_range(header, 10) == part


def test_an_empty_file_has_no_parts():
    assert parse_range("bytes=0-", 0) is None and parse_range("bytes=-1", 0) is None


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path):
    (tmp_path / "secret.js").write_text("s")
    folder = tmp_path / "assets" / "player"
    folder.mkdir(parents=True)
    (folder / "out.js").symlink_to(tmp_path / "secret.js")
    (folder / "in.js").write_text("i")
    assert find(tmp_path / "assets", "/player/in.js").size == 1
    for name in ("/player/out.js", "/player/../../secret.js", "/player/a\0.js", "/", "/player/in.js/x"):
        with pytest.raises(NoSuchFile):
            find(tmp_path / "assets", name)


def test_a_changed_file_has_another_tag(tmp_path: Path):
    folder = tmp_path / "player"
    folder.mkdir()
    (folder / "a.js").write_text("one")
    before = find(tmp_path, "player/a.js").etag
    (folder / "a.js").write_text("three")
    assert find(tmp_path, "player/a.js").etag != before
