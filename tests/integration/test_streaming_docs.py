"""What docs/streaming-speech.md tells people to do, done: its two clients against the real server."""

import ast
import asyncio
import base64
import re
import sys
import wave
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.clients.server_process import ROOT, Server
from tests.clients.speech_files import DATA

pytestmark = pytest.mark.asyncio(loop_scope="session")
DOCUMENT = (ROOT / "docs" / "streaming-speech.md").read_text("utf-8")
SECONDS = 1.5


def shown(language: str) -> str:
    """The one block of code in a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return code


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of one."""
    path = tmp_path_factory.mktemp("speech") / "hello.wav"
    with wave.open(str(DATA / "sentence-espeak.wav")) as whole, wave.open(str(path), "w") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(int(SECONDS * whole.getframerate())))
    return path


async def test_the_python_client_speaks_a_file(server: Server, sentence: Path, tmp_path: Path):
    program = tmp_path / "speak.py"
    program.write_text(shown("python"))
    url = f"{server.base.replace('http', 'ws')}/streams/demo/pcm"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", program, url, sentence, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0
    events = [ast.literal_eval(line) for line in output.decode().splitlines()]
    kinds = [event["type"] for event in events if event["type"] not in ("credit", "underrun", "resumed")]
    assert kinds == ["ready", "begun", "accepted", "started", "finished"]
    assert events[-1]["played_samples"] == SECONDS * 48_000


PAGE = """async ({ code, url, samples, cut }) => {
    const { speak } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const bytes = Uint8Array.from(atob(samples), (letter) => letter.charCodeAt(0));
    async function* pieces() {
        for (let at = 0; at < bytes.length; at += 3200) yield new Int16Array(bytes.slice(at, at + 3200).buffer);
    }
    const events = [];
    const silence = new AbortController();
    const onEvent = (event) => {
        events.push(event);
        if (event.type === "started" && cut) silence.abort();
    };
    const options = { sampleRate: 16000, token: "not asked for", signal: silence.signal, onEvent };
    const last = await speak(url, pieces(), options);
    return { last, kinds: events.map((event) => event.type) };
}"""


async def test_the_clients_of_pages_speak_and_fall_silent(server: Server, sentence: Path, visitors: Browser):
    with wave.open(str(sentence)) as speech:
        samples = base64.b64encode(speech.readframes(speech.getnframes())).decode()
    given = {"code": shown("js"), "url": f"{server.base.replace('http', 'ws')}/streams/demo/pcm", "samples": samples}
    page = await visitors.new_page()
    try:
        await page.goto(f"{server.base}/healthz")
        spoken = await page.evaluate(PAGE, given | {"cut": False})
        assert spoken["last"]["type"] == "finished" and spoken["last"]["played_samples"] == SECONDS * 48_000
        assert spoken["kinds"][:2] == ["ready", "begun"]
        cut = await page.evaluate(PAGE, given | {"cut": True})
        assert cut["last"]["type"] == "interrupted"
        assert 0 < cut["last"]["played_samples"] < SECONDS * 48_000
        nowhere = await page.evaluate(PAGE, given | {"cut": False, "url": given["url"].replace("demo", "nobody")})
        assert nowhere["last"]["type"] == "closed"
    finally:
        await page.close()
