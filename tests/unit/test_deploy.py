"""What deploy/ names is there: settings, routes, ports, files, the command; and each file agrees with itself."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy_files import DEPLOY, ROOT, dockerfile, documents, is_in_context, under, unit_settings
from whep_server.command import api
from whep_server.command.serve import FAREWELL_S, GRACE_S
from whep_server.environment import unknown_variables, variables
from whep_server.rtc.addresses import MEDIA_PORT
from whep_server.settings import Settings

PORT = Settings.model_fields["port"].default
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(DEPLOY.iterdir()) if path.suffix != ".json"}
EXAMPLE = re.compile(r"\$\{(\w+)(?::[-?][^}]*)?\}")


def objects() -> dict[str, Any]:
    """The objects for Kubernetes by kind."""
    return {str(each["kind"]): each for each in documents("kubernetes.yaml")}


def compose() -> dict[str, Any]:
    (found,) = documents("compose.yaml")
    return found


def stop_s(way: str) -> float:
    """What the server may need to end where it is run that way."""
    drain_s = float(environments()[way]["WHEP_AVATAR_DRAIN_S"])
    assert drain_s > 0  # by default it does not wait: who sends SIGTERM has to
    return drain_s + FAREWELL_S + GRACE_S + Settings().worker_stop_s


def environments() -> dict[str, dict[str, str]]:
    """What each way of running it sets."""
    docker = {word for each in dockerfile() if each.name == "ENV" for word in each.words}
    unit = {word for key, value in unit_settings() if key == "Environment" for word in value.split()}
    split = [dict(word.split("=", 1) for word in words) for words in (docker, unit)]
    example = dict(line.split("=", 1) for line in TEXTS["example.env"].splitlines() if "=" in line and line[0] != "#")
    filled = {name: value or "word" for name, value in example.items()}
    composed = {
        name: EXAMPLE.sub(lambda match: filled[match[1]], value)
        for name, value in compose()["services"]["avatar"]["environment"].items()
    }
    cluster = {**objects()["ConfigMap"]["data"], **objects()["Secret"]["stringData"]}
    return {"Dockerfile": split[0], "unit": split[1], "compose": split[0] | composed, "kubernetes": split[0] | cluster}


@pytest.mark.parametrize("name", TEXTS)
def test_every_variable_named_is_a_setting(name: str):
    named = set(re.findall(r"\b(?:WHEP_AVATAR|WEBRTC)_[A-Z_]+\b", TEXTS[name]))
    assert named <= set(variables())


@pytest.mark.parametrize("way", ["Dockerfile", "unit", "compose", "kubernetes"])
def test_what_is_set_can_be_used(way: str, monkeypatch: pytest.MonkeyPatch):
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    for name, value in environments()[way].items():
        if name.startswith(("WHEP_AVATAR_", "WEBRTC_")):
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert not unknown_variables()
    assert str(settings.cache) == "/var/cache/whep-avatar" and str(settings.avatars) == "/var/lib/whep-avatar"
    if way in ("compose", "kubernetes"):
        assert settings.publish_token.get_secret_value() and settings.turn_secret.get_secret_value()
        assert all(url.startswith("turn:") for url in settings.turn_urls) and len(settings.turn_urls) == 2


def test_every_path_and_port_named_is_the_servers():
    routes = set(yaml.safe_load(api.as_openapi())["paths"])
    probes = [probe for kind in ("startup", "readiness", "liveness") for probe in under(objects(), f"{kind}Probe")]
    asked = {str(path) for path in under(probes, "path")}
    (health,) = [each.rest for each in dockerfile() if each.name == "HEALTHCHECK"]
    asked |= set(re.findall(r"http%s://127\.0\.0\.1:%s(/\w+)", health))
    assert asked == {"/readyz", "/healthz"} and asked <= routes
    assert re.search(r"'WHEP_AVATAR_PORT', '(\d+)'", health)[1] == str(PORT)
    assert [each.words for each in dockerfile() if each.name == "EXPOSE"] == [[str(PORT), f"{MEDIA_PORT}/udp"]]
    assert list(under(objects(), "containerPort")) == [PORT]
    for name in ("Caddyfile", "nginx.conf"):
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", TEXTS[name])) == {str(PORT)}, name


def test_what_is_run_is_our_command():
    """Container, unit and pod: each command line is one that the command line takes."""
    entry, arguments = ([each.words for each in dockerfile() if each.name == name] for name in ("ENTRYPOINT", "CMD"))
    (started,) = [value.split() for key, value in unit_settings() if key == "ExecStart"]
    assert entry == [["whep-avatar"]] and Path(started[0]).name == "whep-avatar"
    (pod,) = under(objects(), "args")
    for line in {tuple(arguments[0]), tuple(started[1:]), tuple(pod)}:
        command = [sys.executable, "-m", "whep_server", *line, "--print-settings"]  # reads the line, then ends
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and f"port = {PORT}" in done.stdout, done.stderr


def test_the_image_is_made_of_what_is_there_and_the_wheel_of_that_is_whole(tmp_path: Path):
    """Only what .dockerignore lets pass and COPY names; what a wheel of the checkout holds is in it, too."""
    sources = [each.words for each in dockerfile() if each.name == "COPY" and "--from" not in each.rest]
    for *names, target in sources:
        for name in names:
            files = [ROOT / name] if (ROOT / name).is_file() else list((ROOT / name).rglob("*"))
            files = [path for path in files if path.is_file() and is_in_context(path)]
            assert files, name
            for path in files:
                within = path.name if target == "./" else Path(target) / path.relative_to(ROOT / name)
                copy = tmp_path / "src" / within
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    assert not list((tmp_path / "src").rglob("__pycache__"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=tmp_path / "src", capture_output=True, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("whep_server", "avatar", "bench"):
        assert {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py")} <= packed
    for folder in ("assets", "templates"):
        there = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {f"whep_server/{path}" for path in there if "__pycache__" not in path.parts} <= packed


def test_the_image_runs_as_nobody_in_particular_and_its_base_can_be_chosen():
    instructions = dockerfile()
    assert [each.rest for each in instructions if each.stage == -1] == ["BASE=debian:bookworm-slim"]
    assert [each.words[0] for each in instructions if each.name == "FROM"] == ["${BASE}"] * 2
    users = [each.words[0] for each in instructions if each.name == "USER"]
    assert users == ["10001"] and f"--uid {users[0]}" in next(e.rest for e in instructions if "useradd" in e.rest)
    security = next(under(objects(), "securityContext"))
    assert security["runAsNonRoot"] and str(security["runAsUser"]) == users[0]
    (volumes,) = [each.words for each in instructions if each.name == "VOLUME"]
    mounted = {each["mountPath"] for each in next(under(objects(), "volumeMounts"))}
    composed = {each.rpartition(":")[2] for each in compose()["services"]["avatar"]["volumes"]}
    assert set(volumes) == composed == mounted - {"/tmp"}


def test_every_way_to_stop_leaves_time_to_finish_speaking_and_say_goodbye():
    (unit,) = [int(value) for key, value in unit_settings() if key == "TimeoutStopSec"]
    (pod,) = under(objects(), "terminationGracePeriodSeconds")
    composed = int(compose()["services"]["avatar"]["stop_grace_period"].removesuffix("s"))
    for way, given_s in (("unit", unit), ("kubernetes", pod), ("compose", composed)):
        assert given_s > stop_s(way), way


def test_the_objects_for_kubernetes_find_each_other():
    kinds = objects()
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Deployment"]["spec"]["selector"]["matchLabels"] == labels == kinds["Service"]["spec"]["selector"]
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    wanted = {(next(iter(each)), each[next(iter(each))]["name"]) for each in container["envFrom"]}
    names = {kind: kinds[kind]["metadata"]["name"] for kind in ("ConfigMap", "Secret", "PersistentVolumeClaim")}
    assert wanted == {("configMapRef", names["ConfigMap"]), ("secretRef", names["Secret"])}
    assert list(under(pod, "claimName")) == [names["PersistentVolumeClaim"]]
    ports = {each["name"] for each in container["ports"]}
    named = {*under(container, "port"), *under(kinds["Service"], "targetPort")}
    assert named == ports == {each["name"] for each in kinds["Service"]["spec"]["ports"]}
    (service,) = under(kinds["Ingress"], "service")
    assert service == {"name": kinds["Service"]["metadata"]["name"], "port": {"name": "http"}}
    # a Service of that name would set WHEP_AVATAR_PORT to an address, and the server would not start
    assert f"{kinds['Service']['metadata']['name'].upper().replace('-', '_')}_PORT" in variables()
    assert pod["enableServiceLinks"] is False


def test_the_services_of_compose_find_each_other_and_share_one_secret():
    file = compose()
    mounts = [each.partition(":")[0] for service in file["services"].values() for each in service.get("volumes", ())]
    assert {name for name in mounts if not name.startswith(".")} == set(file["volumes"])
    assert all((DEPLOY / name).exists() for name in mounts if name.startswith("."))
    assert {name for each in under(file, "depends_on") for name in each} <= set(file["services"])
    assert [each["source"] for each in file["services"]["coturn"]["configs"]] == list(file["configs"])
    build = file["services"]["avatar"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert set(build["args"]) == {each.rest.partition("=")[0] for each in dockerfile() if each.name == "ARG"}
    turn = dict(line.partition("=")[::2] for line in file["configs"]["coturn"]["content"].splitlines())
    assert turn["static-auth-secret"] == "${TURN_SECRET}" and "use-auth-secret" in turn
    assert "TURN_SECRET" in file["services"]["avatar"]["environment"]["WHEP_AVATAR_TURN_SECRET"]
    urls = file["services"]["avatar"]["environment"]["WEBRTC_TURN_URLS"].split(",")
    assert {url.split(":")[2].partition("?")[0] for url in urls} == {turn["listening-port"]}
    asked = {match[1] for match in EXAMPLE.finditer(TEXTS["compose.yaml"])}
    given = set(re.findall(r"^(\w+)=", TEXTS["example.env"], re.MULTILINE))
    assert given == {name for name in asked if name not in build["args"]}


def test_proxies_pass_on_what_comes_as_it_comes():
    assert "flush_interval -1" in TEXTS["Caddyfile"]
    for line in ("proxy_buffering off", "proxy_request_buffering off", "proxy_set_header Upgrade $http_upgrade"):
        assert line in TEXTS["nginx.conf"]
    (annotations,) = under(objects()["Ingress"], "annotations")
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path):
    """With the command put where this machine has one; everything else as it is."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here")
    unit = tmp_path / "whep-avatar.service"
    text = TEXTS["whep-avatar.service"]
    assert text.count("/opt/whep-avatar/bin/whep-avatar serve") == 1
    unit.write_text(text.replace("/opt/whep-avatar/bin/whep-avatar", sys.executable))
    env = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    command = [analyze, "security", "--offline=true", "--threshold=20", unit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-200:]  # 2.0 of 10: "OK"
