"""Pages and files over a real socket, above a fake live layer."""

import re
from pathlib import Path

from tests.integration.http_server import assert_problem, serving


async def test_the_pages_hold_what_they_need(http, live):
    live.stream("demo").title = "</script><b>"
    page = await http.get("/player/demo")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '"whep": "/whep/demo"' in page.text
    named = re.findall(r"/assets/avatars/nova/[\w.-]+", page.text)
    assert {Path(name).name for name in named} == {"poster-1280x720.jpg", "loop.mp4", "loop.webm"}
    assert all([(await http.get(name)).status_code == 200 for name in named])
    assert "</script><b>" not in page.text
    looked = await http.head("/player/demo")
    assert looked.headers["content-length"] == str(len(page.content)) and looked.content == b""
    landing = await http.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert landing.status_code == 200 and "/player/demo" in landing.text


async def test_the_publisher_page_is_told_where_to_publish(http, live, settings):
    page = await http.get("/publish/demo")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in ('"whip": "/whip/demo"', '"whep": "/whep/demo"', '"events": "/streams/demo/events"', "/player/demo"):
        assert path in page.text
    assert (await http.get("/publish/nobody")).status_code == 404
    async with serving(settings.model_copy(update={"public_base_path": "/talk"}), live.open) as behind_proxy:
        below = await behind_proxy.get("/publish/demo")
        assert '"whip": "/talk/whip/demo"' in below.text
        assert re.findall(r'(?:href|src)="(/[^"]*)"', below.text)
        assert all(path.startswith("/talk/") for path in re.findall(r'(?:href|src)="(/[^"]*)"', below.text))


async def test_files_have_their_types_tags_and_ranges(live, tmp_path: Path, settings):
    for name, data in {"player/a.js": b"x", "player/b.mjs": b"y", "player/c.css": b"z", "speech/d.ogg": b"0123456789",
                       "avatars/nova/e.webm": b"w", "avatars/nova/f.mp4": b"m", "viseme/weights.pt": b"s",
                       "avatars/nova/poses.npy": b"p"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path.parent / "outside.js").write_text("o")
    changed = settings.model_copy(update={"assets": tmp_path})
    async with serving(changed, live.open) as http:
        types = {}
        for name in ("player/a.js", "player/b.mjs", "player/c.css", "speech/d.ogg", "avatars/nova/e.webm",
                     "avatars/nova/f.mp4"):  # fmt: skip
            types[name.rpartition(".")[2]] = (
                (await http.get(f"/assets/{name}")).headers["content-type"].partition(";")[0]
            )
        assert types == {"js": "text/javascript", "mjs": "text/javascript", "css": "text/css", "ogg": "audio/ogg",
                         "webm": "video/webm", "mp4": "video/mp4"}  # fmt: skip
        whole = await http.get("/assets/speech/d.ogg")
        assert whole.content == b"0123456789" and whole.headers["content-length"] == "10"
        again = await http.get("/assets/speech/d.ogg", headers={"If-None-Match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=2-4"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        assert (await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=-3"})).content == b"789"
        assert (await http.get("/assets/speech/d.ogg", headers={"Range": "bytes=7-"})).content == b"789"
        assert (await http.head("/assets/speech/d.ogg")).headers["content-length"] == "10"
        for name in ("viseme/weights.pt", "avatars/nova/poses.npy", "player", "player/", "", "nothing.js", "%00.js",
                     "player/..%2f..%2foutside.js", "..%2foutside.js", "/etc/passwd"):  # fmt: skip
            assert_problem(await http.get(f"/assets/{name}"), 404)
