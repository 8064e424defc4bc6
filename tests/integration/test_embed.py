"""The player in a frame of another site's page, and in an app's WebView: what it tells, what it obeys, and whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.static_pages import serving_folder
from tests.clients.visit import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST_PAGE = """<!doctype html><iframe id="avatar" allow="autoplay" width="640" height="360"></iframe>
<iframe id="stranger"
  srcdoc="<script>onmessage = ({ data }) => parent.frames[0].postMessage(data, '*')</script>"></iframe>
<script>
  const heard = [];
  addEventListener("message", ({ data, source }) => {
    if (source === document.querySelector("#avatar").contentWindow) heard.push(data);
  });
  const command = (message) => document.querySelector("#avatar").contentWindow.postMessage(message, "*");
</script>"""


@pytest.fixture(scope="module")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("host")
    (folder / "index.html").write_text(HOST_PAGE)
    with serving_folder(folder) as base:
        yield base


async def embed(visit: Visit, other_site: str, query: str = "?embed") -> None:
    await visit.page.goto(other_site)
    await visit.page.evaluate(f"document.querySelector('#avatar').src = '{visit.server.base}/player/demo{query}'")


def heard(event: str, **wanted: object) -> str:
    """An expression: whether the page has heard that event."""
    tests = "".join(f" && message.{name} === {str(value).lower() if isinstance(value, bool) else repr(value)}"
                    for name, value in wanted.items())  # fmt: skip
    return f"heard.some((message) => message.event === '{event}'{tests})"


async def test_the_page_around_it_follows_what_the_player_does(visit: Visit, other_site: str):
    await embed(visit, other_site)
    await visit.becomes(heard("ready", type="whep-avatar", stream="demo"))
    await visit.becomes(heard("state", state="idle"))
    visit.server.tell("state", state="speaking")
    visit.server.tell("speech", utterance="u1", state="started", live=False, seconds=1.5, detail=None, media_time_s=3.0)
    await visit.becomes(heard("state", state="speaking"))
    await visit.becomes(heard("speech", utterance="u1", state="started"))


async def test_it_obeys_the_page_around_it(visit: Visit, other_site: str):
    await embed(visit, other_site, "")
    await visit.becomes(heard("ready"))
    await visit.page.evaluate("command({ type: 'whep-avatar', command: 'play' })")
    await visit.becomes(heard("state", state="idle"))
    await visit.page.evaluate("command({ type: 'whep-avatar', command: 'mute' })")
    await visit.becomes(heard("sound", muted=True))
    await visit.page.evaluate("command({ type: 'whep-avatar', command: 'stats', every_ms: 500 })")
    await visit.becomes("heard.some((message) => message.event === 'stats' && message.stats.framesDecoded > 0)")
    await visit.becomes("heard.some(({ type, sessionId }) => type === 'webrtc-client-stats' && sessionId === 'demo')")
    await visit.page.evaluate("command({ type: 'whep-avatar', command: 'stop' })")
    await visit.becomes(heard("state", state="ready"))


async def test_it_obeys_the_messages_of_the_original_player(visit: Visit, other_site: str):
    await embed(visit, other_site, "")
    await visit.becomes(heard("ready"))
    await visit.page.evaluate("command({ type: 'webrtc-start', muted: true })")
    await visit.becomes(heard("state", state="idle"))
    await visit.becomes(heard("sound", muted=True))
    await visit.page.evaluate("heard.length = 0; command({ type: 'webrtc-audio', muted: false })")
    await visit.becomes(heard("sound", muted=False))


async def test_nonsense_and_strangers_change_nothing(visit: Visit, other_site: str):
    await embed(visit, other_site, "")
    await visit.becomes(heard("ready"))
    await visit.page.evaluate(
        "document.querySelector('#stranger').contentWindow.postMessage({ type: 'whep-avatar', command: 'play' }, '*')"
    )
    for nonsense in ("null", "'{'", "42", "{ type: 'whep-avatar' }", "{ type: 'whep-avatar', command: 'constructor' }"):
        await visit.page.evaluate(f"command({nonsense})")
    await visit.page.evaluate("command({ type: 'whep-avatar', command: 'stats', every_ms: 1 })")
    await visit.becomes(heard("stats"))  # whatever came before it was taken, too
    assert not await visit.page.evaluate("heard.some(({ event, state }) => event === 'state' && state !== 'ready')")
    assert visit.server.requests("POST") == []


async def test_an_app_hears_it_through_its_bridge_and_commands_it(visit: Visit):
    await visit.page.add_init_script(
        "window.texts = []; window.ReactNativeWebView = { postMessage: (text) => texts.push(JSON.parse(text)) };"
        "window.webkit = { messageHandlers: { whepAvatar: { postMessage: (message) => texts.push(message) } } };"
    )
    await visit.open()
    await visit.becomes("texts.filter(({ event }) => event === 'ready').length === 2")
    await visit.page.evaluate(
        """window.dispatchEvent(new MessageEvent("message", { data: '{"type": "whep-avatar", "command": "play"}' }))"""
    )
    await visit.state("idle")
    await visit.becomes("texts.some(({ event, state }) => event === 'state' && state === 'idle')")
