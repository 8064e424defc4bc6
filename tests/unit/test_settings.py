"""Settings: where they come from, which are refused, and how they are printed."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from avatar import messages
from whep_server.command.configuration import as_toml
from whep_server.settings import FRAME_RATES, ConfigFileError, Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"WHEP_AVATAR_{name.upper()}", raising=False)
        monkeypatch.delenv(f"WEBRTC_{name.upper()}", raising=False)
    monkeypatch.delenv("WHEP_AVATAR_CONFIG", raising=False)


def test_the_command_line_beats_the_environment_beats_the_file(monkeypatch, tmp_path: Path):
    file = tmp_path / "avatar.toml"
    file.write_text("port = 1\nfps = 10\nwidth = 512\nstun_urls = ['stun:file.example']\n")
    monkeypatch.setenv("WHEP_AVATAR_CONFIG", str(file))
    monkeypatch.setenv("WHEP_AVATAR_FPS", "15")
    monkeypatch.setenv("WHEP_AVATAR_WIDTH", "640")
    settings = Settings(width=720)
    assert (settings.port, settings.fps, settings.width, settings.height) == (1, 15, 720, 720)
    assert settings.stun_urls == ["stun:file.example"]


def test_the_original_names_of_ice_settings_are_read(monkeypatch):
    monkeypatch.setenv("WEBRTC_STUN_URLS", "stun:a.example:3478, stun:b.example,")
    monkeypatch.setenv("WEBRTC_TURN_URLS", "turn:c.example?transport=tcp")
    monkeypatch.setenv("WEBRTC_TURN_USER", "user")
    monkeypatch.setenv("WEBRTC_TURN_PASS", "hushhush")
    settings = Settings()
    assert settings.stun_urls == ["stun:a.example:3478", "stun:b.example"]
    assert settings.turn_urls == ["turn:c.example?transport=tcp"]
    assert settings.turn_user == "user" and settings.turn_pass.get_secret_value() == "hushhush"
    monkeypatch.setenv("WHEP_AVATAR_STUN_URLS", "stun:ours.example")
    assert Settings().stun_urls == ["stun:ours.example"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"whip_interrupts": "yes"}, {"pcm_start_ms": 19}, {"pcm_start_ms": 1001}, {"pcm_window_s": 0.4},
        {"pcm_window_s": 61},
        {"fps": 24}, {"fps": 0}, {"width": 1281}, {"height": 14}, {"width": 4000}, {"port": 65536}, {"port": -1},
        {"public_base_path": "avatar"}, {"public_base_path": "/a b"}, {"public_base_path": "//"},
        {"demo_stream": "a/b"}, {"avatar": ""}, {"bitrate_bps": 99_999}, {"lead_ms": 39}, {"max_upload_bytes": 0},
        {"stun_urls": ["http://a.example"]}, {"turn_urls": ['turn:a"b']}, {"turn_urls": ["turn:a\r\nX: y"]},
        {"log_level": "LOUD"}, {"no_such_setting": 1}, {"tts_url": "api.openai.com/v1"}, {"tts_url": "file:///etc"},
        {"tts_url": "https://key@a.example/v1"}, {"tts_url": "http://a.example/v1?x=1"}, {"tts_key": "a\r\nX: y"},
        {"tts_timeout_s": 0}, {"max_text_chars": 0},
        {"public_url": "example.org"}, {"public_url": "https://a.example?x"}, {"public_url": "https://u@a.example"},
        {"public_url": "https://a.example/x", "public_base_path": "/y"}, {"tls_key": "key.pem"},
        {"trusted_proxies": ["proxy.example"]}, {"trusted_proxies": ["10.0.0.1/8"]},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


@pytest.mark.parametrize(("given", "kept"), [("", ""), ("/", ""), ("/avatar/", "/avatar"), ("/a/b.c", "/a/b.c")])
def test_a_base_path_has_no_slash_at_its_end(given, kept):
    assert Settings(public_base_path=given).public_base_path == kept


def test_an_address_that_clients_use_has_the_path_in_it():
    settings = Settings(public_url="https://a.example:8443/avatar/")
    assert (settings.base_path, settings.base_url) == ("/avatar", "https://a.example:8443/avatar")
    assert Settings(public_url="https://a.example").base_path == ""
    assert (Settings(public_base_path="/avatar").base_path, Settings().base_url) == ("/avatar", "")


def test_trusted_proxies_are_read_under_uvicorns_name_too(monkeypatch):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8,::1")
    assert Settings().trusted_proxies == ["10.0.0.0/8", "::1"]
    monkeypatch.setenv("WHEP_AVATAR_TRUSTED_PROXIES", "*")
    assert Settings().trusted_proxies == ["*"]


@pytest.mark.parametrize("content", [None, b"fps = ", b"\xff\xfe", b"fps == 3"])
def test_a_file_that_cannot_be_read_is_an_error_and_not_silence(monkeypatch, tmp_path: Path, content):
    file = tmp_path / "avatar.toml"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("WHEP_AVATAR_CONFIG", str(file))
    with pytest.raises(ConfigFileError, match=r"avatar\.toml"):
        Settings()


def test_a_wrong_value_is_not_repeated_in_the_error():
    with pytest.raises(ValidationError) as caught:
        Settings(turn_urls=["hushhush"])
    assert "hushhush" not in str(caught.value)


def test_what_is_printed_can_be_read_again_and_holds_no_secret(monkeypatch, tmp_path: Path):
    secrets = dict.fromkeys(("turn_pass", "turn_secret", "watch_token", "publish_token", "tts_key"), "hushhush")
    secrets["token_secrets"] = "a:" + "hushhush" * 4
    settings = Settings(**secrets, turn_urls="turn:a.example", fps=30, cache=tmp_path)
    printed = as_toml(settings)
    assert "hushhush" not in printed and "hushhush" not in repr(settings)
    assert set(tomllib.loads(printed)) == set(Settings.model_fields) - secrets.keys()
    file = tmp_path / "avatar.toml"
    file.write_text(printed)
    monkeypatch.setenv("WHEP_AVATAR_CONFIG", str(file))
    assert Settings(**secrets) == settings


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_rates_are_those_of_the_worker():
    assert FRAME_RATES == messages.FRAME_RATES


@pytest.mark.parametrize("name", ["turn_user", "turn_pass"])
@pytest.mark.parametrize("value", ['a"b', "a,b", "a;b", "a b", "a\r\nb", "ä", "<a>"])
def test_a_login_that_a_link_header_cannot_hold_is_refused(name, value):
    with pytest.raises(ValidationError):
        Settings(**{name: value})
    assert Settings(**{name: "1700000000:nova+/="})
