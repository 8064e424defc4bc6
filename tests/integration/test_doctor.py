"""The doctor finds what is wrong with each part of a server, each broken in turn, and says what to do."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests.clients.peers import turn_server
from tests.clients.server_process import ROOT, environment, free_port
from whep_server import __version__
from whep_server.command import check_machine
from whep_server.command.check_machine import as_packed, check_encoders, check_limits, check_time
from whep_server.command.doctor import examine
from whep_server.command.findings import Finding, Status
from whep_server.live.capacity import Capacity, save_capacity, usable_cores
from whep_server.settings import Settings

USER, PASSWORD, SECRET = "ada", "right-Wf81", "shared-Qx27"


def found(only: str, **settings: object) -> list[Finding]:
    """What one check finds; never a secret, and always what to do about what is not well."""
    findings = list(examine(settings, [only]))
    assert findings.pop(0).check == "settings"
    text = "".join(each.says + each.fix for each in findings)
    assert not any(secret in text for secret in (PASSWORD, SECRET))
    assert all(each.fix for each in findings if not each.ok)
    return findings


def one(only: str, check: str, **settings: object) -> tuple[str, str]:
    """Status and words of the one finding of that name."""
    (finding,) = [each for each in found(only, **settings) if each.check == check]
    return finding.status.value, f"{finding.says} | {finding.fix}"


@pytest.fixture(scope="module")
def turn() -> Iterator[int]:
    with turn_server(USER, PASSWORD, SECRET) as port:
        yield port


@pytest.fixture
def silent() -> Iterator[int]:
    """A UDP port where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        yield end.getsockname()[1]


def test_json_names_every_fault_no_secret_and_ends_with_1(tmp_path: Path, turn: int, silent: int):
    """A real process with much that is broken at once."""
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = {
            "port": str(taken.getsockname()[1]),
            "cache": str(tmp_path / "file" / "cache"),
            "turn_user": USER,
            "turn_pass": "wrong-Zk55",
            "watch_token": "watch-Lp90",
            "publish_token": "publish-Mn12",
            "tts_url": "http://127.0.0.1:9/v1",
            "tts_key": "key-Vb34",
            "trun_secret": SECRET,
            "host": "0.0.0.0",
            "stun_urls": f"stun:127.0.0.1:{turn},stun:127.0.0.1:{silent}",
            "turn_urls": f"turn:127.0.0.1:{turn}",
        }
        checks = ["port", "cache", "ice", "access", "text", "encoders", "limits", "time", "udp"]
        command = [sys.executable, "-m", "whep_server", "doctor", "--json", *(f"--only={check}" for check in checks)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode == 1 and not done.stderr
    told = json.loads(done.stdout)
    assert not told["ok"]
    statuses = [(each["check"], each["status"]) for each in told["findings"]]
    assert [each for each in statuses if each[1] == "failed"] == [
        ("cache", "failed"),
        ("port", "failed"),
        ("stun", "failed"),
        ("turn", "failed"),
    ]
    for well in (("stun", "ok"), ("encoders", "ok"), ("access", "ok"), ("udp", "ok"), ("settings", "warning")):
        assert well in statuses
    assert "WHEP_AVATAR_TRUN_SECRET (WHEP_AVATAR_TURN_SECRET?)" in done.stdout
    assert all(bool(each["fix"]) == (each["status"] != "ok") for each in told["findings"])
    for name in ("turn_pass", "watch_token", "publish_token", "tts_key", "trun_secret"):
        assert settings[name] not in done.stdout


def test_settings_that_are_wrong_are_all_named_and_nothing_else_is_tried():
    findings = list(examine({"fps": 24, "turn_pass": "a b", "port": 70_000}, []))
    assert [each.status for each in findings] == [Status.FAILED] * 3
    assert {each.says.partition(":")[0] for each in findings} == {"fps", "turn_pass", "port"}
    assert "a b" not in str(findings)


def test_turn_allocates_with_the_configured_login_over_udp_and_tcp(turn: int):
    urls = [f"turn:127.0.0.1:{turn}?transport={transport}" for transport in ("udp", "tcp")]
    for login in ({"turn_user": USER, "turn_pass": PASSWORD}, {"turn_user": "a", "turn_secret": SECRET}):
        relays = [each for each in found("ice", turn_urls=urls, **login) if each.check == "turn"]
        assert [each.says.partition(" relays at ")[2] for each in relays] == ["127.0.0.1 (loopback)"] * 2
        assert {each.status for each in relays} == {Status.WARNING}  # nobody elsewhere reaches such a relay


def test_a_wrong_turn_login_is_told_from_a_server_that_is_not_there(turn: int, silent: int):
    """Pion's refusal (400) is not signed, so that aioice does not take it for an answer and goes on waiting."""
    urls = [f"turn:127.0.0.1:{port}" for port in (turn, silent)] + [f"turn:127.0.0.1:{free_port()}?transport=tcp"]
    answers = [each for each in found("ice", turn_urls=urls, turn_user=USER, turn_pass="wrong") if each.check == "turn"]
    assert [each.status for each in answers] == [Status.FAILED] * 3
    refused, unheard, closed = answers
    assert "error 400" in refused.says and "WEBRTC_TURN_PASS" in refused.fix
    assert "unreachable: it was silent for 2 s" in unheard.says and "open its ports" in unheard.fix
    assert "unreachable: Connection refused" in closed.says


def refuse_logins(end: socket.socket) -> None:
    """As coturn does: 401 with realm and nonce (RFC 8489 sections 9.2.4 and 14.8), until an empty datagram comes."""
    while True:
        request, peer = end.recvfrom(2048)
        if not request:
            return
        attributes = b"\x00\x09\x00\x04\x00\x00\x04\x01" + b"\x00\x14\x00\x04test" + b"\x00\x15\x00\x04abcd"
        end.sendto(b"\x01\x13" + len(attributes).to_bytes(2, "big") + request[4:20] + attributes, peer)


def test_a_wrong_secret_at_coturn_is_401():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end, ThreadPoolExecutor(1) as pool:
        end.bind(("127.0.0.1", 0))
        end.settimeout(60)
        answering = pool.submit(refuse_logins, end)
        status, words = one("ice", "turn", turn_urls=[f"turn:127.0.0.1:{end.getsockname()[1]}"], turn_secret="wrong")
        end.sendto(b"", end.getsockname())
        answering.result()
    assert status == "failed" and "error 401: wrong user name, password or secret" in words
    assert "WHEP_AVATAR_TURN_SECRET" in words and "clocks" in words


def test_addresses_are_warned_of_that_others_do_not_reach():
    status, words = one("ice", "addresses")
    assert status == "warning" and "127.0.0.1 (loopback)" in words and "WHEP_AVATAR_HOST" in words


def test_a_damaged_avatar_is_found_and_one_that_is_missing(tmp_path: Path):
    whole = ROOT / "assets" / "avatars" / "nova"
    shutil.copytree(whole, tmp_path / "ada")
    film = tmp_path / "ada" / "idle-512x512.mp4"
    film.write_bytes(film.read_bytes()[:20_000])
    missing, damaged = found("avatars", avatars=tmp_path, avatar="eve")
    assert missing.status is Status.FAILED and "there is no eve; there are: " in missing.says and "nova" in missing.says
    assert damaged.status is Status.WARNING
    (broken,) = found("avatars", avatars=tmp_path, avatar="ada")
    assert broken.status is Status.FAILED and "ada is damaged: idle-512x512.mp4" in broken.says


def test_a_worker_without_its_models_and_a_size_that_no_avatar_has(tmp_path: Path):
    status, words = one("worker", "worker", assets=tmp_path, worker_start_s=30)
    assert status == "failed" and "not ready: " in words and "weights" in words
    status, words = one("worker", "drawing", width=640, height=360)
    assert status == "failed" and "no size 640x360" in words


def test_what_was_measured_of_each_engine_is_told(tmp_path: Path):
    here = {"cache": tmp_path, "musetalk_models": "/models"}
    drawn, filmed = found("capacity", **here)
    assert "nobody is refused" in drawn.says and "--avatar NAME" in filmed.says and drawn.ok and filmed.ok
    save_capacity(tmp_path, Capacity(9, 10, 1280, 720, 25, usable_cores(), __version__, "this one"))
    save_capacity(tmp_path, Capacity(2, 3, 1280, 720, 25, 64, __version__, "another", "musetalk"))
    drawn, filmed = found("capacity", **here)
    assert drawn.ok and "9 viseme streams" in drawn.says
    assert filmed.status is Status.WARNING and "64 cores" in filmed.says and "--avatar NAME" in filmed.fix
    assert [each.says for each in found("capacity", cache=tmp_path)] == [drawn.says]
    (told,) = found("capacity", max_speaking=3, **here)
    assert "3 streams" in told.says


def test_an_encoder_that_is_missing_is_named():
    (finding,) = check_encoders(Settings(), ["libopus", "libnothing"])
    assert finding.status is Status.FAILED and finding.says.startswith("libnothing: ") and "libopus" not in finding.says


def test_too_few_open_files_and_a_clock_that_stands_at_its_beginning(monkeypatch: pytest.MonkeyPatch):
    (finding,) = check_limits(Settings(max_viewers=10_000_000))
    assert finding.status is Status.WARNING and "ulimit -n" in finding.fix
    (finding,) = check_time(Settings())
    assert finding.status is Status.OK
    monkeypatch.setattr(check_machine.time, "time", lambda: 0.0)  # what a board without a battery begins with
    (finding,) = check_time(Settings())
    assert finding.status is Status.FAILED and "1970" in finding.says


def test_an_installed_file_that_was_changed_is_found(tmp_path: Path):
    (tmp_path / "a-1.dist-info").mkdir()
    (tmp_path / "a-1.dist-info" / "RECORD").write_text(
        "whole.txt,sha256=LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564,3\n"
        "changed.txt,sha256=LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564,3\n"
        "gone.txt,sha256=LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564,3\n"
        "unsaid.txt,,\n"
    )
    for name, text in (("whole.txt", "foo"), ("changed.txt", "fox"), ("unsaid.txt", "bar")):
        (tmp_path / name).write_text(text)
    files = Distribution.at(tmp_path / "a-1.dist-info").files or []
    assert {str(file) for file in files if not as_packed(file)} == {"changed.txt", "gone.txt"}
