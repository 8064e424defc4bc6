"""A video prepared for MuseTalk, and a photo: real processes, loaders and networks, which are tiny."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from avatar.engines.engine import FrameJob, Work
from avatar.engines.musetalk.generator import Generator, Speedup
from avatar.engines.musetalk.musetalk_engine import EngineOptions, MuseTalkEngine
from avatar.engines.musetalk.networks import load_networks
from avatar.engines.musetalk.prepare_faces import face_of
from avatar.engines.viseme.mouth import MOUTH_X, MOUTH_Y
from avatar.prepare import Order
from avatar.prepared import load_prepared, read_manifest
from avatar.preparer import CannotPrepare, run_preparation
from avatar.quality import FILE, PREVIEW
from tests.face_landmarks import file_of, points_68
from tests.musetalk_models import write_models
from tests.portraits import SIZE, as_bgr, nova, portrait, shown
from tests.shipped_speech import shipped_speech
from whep_server.__main__ import app

PICTURES = 25


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("musetalk") / "models")


@pytest.fixture
def avatars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHEP_AVATAR_AVATARS", str(tmp_path / "avatars"))
    return tmp_path / "avatars"


def prepared(*arguments: object) -> tuple[int, str]:
    size = f"{SIZE[0]}x{SIZE[1]}"
    done = CliRunner().invoke(app, ["prepare", *map(str, arguments), "--name", "anna", "--size", size])
    return done.exit_code, done.output


def mouth_of(picture: int) -> tuple[float, float]:
    """Where hers is."""
    x, y = nova().state.matrices[picture] @ (MOUTH_X, MOUTH_Y, 1)  # type: ignore[attr-defined]
    return float(x), float(y)


def test_a_video_becomes_an_avatar_whose_mouth_the_networks_move(
    avatars: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHEP_AVATAR_MUSETALK_MODELS", str(models))
    marks = tmp_path / "landmarks.json"
    points = points_68(at=mouth_of(0), scale=1.1)
    marks.write_text(json.dumps(file_of([points], size=SIZE)))
    video = portrait(tmp_path / "portrait.mp4", PICTURES)
    status, said = prepared(video, "--engine", "musetalk", "--landmarks", marks, "--title", "Anna")
    assert status == 0, said
    steps = [int(line[:3]) for line in said.splitlines() if line[3:5] == " %"]
    assert steps == sorted(steps) and "making the latents" in said and "quality: face " in said
    directory = avatars / "anna"
    assert sorted(path.name for path in avatars.iterdir()) == ["anna"] and not list(directory.glob("*.raw"))
    assert read_manifest(directory).title == "Anna"
    avatar = load_prepared(directory, SIZE)
    assert (avatar.engine, len(avatar.pictures), avatar.there_and_back) == ("musetalk", PICTURES, True)

    networks = load_networks(models)
    options = EngineOptions(device="cpu", max_batch=2)
    device = options.place()
    with np.load(directory / "faces.npz") as places:
        faces = places["faces"]
    assert (faces[0, 2] - faces[0, 0], faces[0, 3] - mouth_of(0)[1]) == pytest.approx((198, 76), abs=2)
    again = Generator(networks, device, options.kind(device), Speedup.NONE).latents_of(
        np.stack([face_of(as_bgr(avatar.pictures[picture]), faces[picture]) for picture in (0, 20)])
    )
    latents = avatar.state.latents[[0, 20]]  # type: ignore[attr-defined]
    assert np.corrcoef(latents.ravel(), again.ravel())[0, 1] > 0.98, (
        "of the pictures' own faces, but for the film's loss"
    )

    engine = MuseTalkEngine(networks, options)
    slot = engine.open(avatar, 25)
    engine.push(slot, shipped_speech("kiosk")[:16_000])
    ((drawing,),) = engine.step([Work(slot, [FrameJob(20)])])
    assert drawing is not None
    patch = drawing()
    engine.close(slot)
    x, y = (round(at) for at in mouth_of(20))
    assert patch.rgba[y - patch.box.y, x - patch.box.x, 3] == 255, "on her mouth"
    assert patch.rgba[..., :3].std() > 5


def test_without_the_networks_it_is_refused_at_once_with_the_file(
    avatars: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    video = tmp_path / "video.mp4"
    status, said = prepared(video, "--engine", "musetalk")
    assert status == 1 and "WHEP_AVATAR_MUSETALK_MODELS" in said
    (tmp_path / "models").mkdir()
    for part in models.iterdir():
        (tmp_path / "models" / part.name).symlink_to(part)
    (tmp_path / "models" / "sd-vae").unlink()
    monkeypatch.setenv("WHEP_AVATAR_MUSETALK_MODELS", str(tmp_path / "models"))
    status, said = prepared(video, "--engine", "musetalk")
    assert status == 1 and "sd-vae/config.json is missing" in said and "fetch it anew" in said
    assert not avatars.exists() or not list(avatars.iterdir())


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "upload"
    small = cv2.resize(as_bgr(shown(1)[0]), (256, 256), interpolation=cv2.INTER_AREA)
    path.write_bytes(cv2.imencode(".jpg", small)[1].tobytes())
    return path


def test_a_photo_becomes_a_loop_that_moves_and_closes(photo: Path, tmp_path: Path):
    out = tmp_path / "anna"
    made = run_preparation(Order(str(photo), str(out), "anna", "", [(256, 256)]), lambda _: None)
    assert made.pictures == 150 and made.quality.loop == "seam" and made.quality.seam < 1.5
    assert [note for note in made.quality.notes if "does not blink" in note]
    avatar = load_prepared(out, (256, 256))
    assert avatar.title == "anna (experimental)" and avatar.loop_length == 150
    steps = np.abs(np.roll(avatar.pictures, -1, axis=0).astype(int) - avatar.pictures).mean(axis=(1, 2))
    assert steps.min() > 0 and steps.max() < 1.5, "no more, where it closes, than the film's own loss"
    mouths = avatar.state.matrices[:, :, 2]  # type: ignore[attr-defined]
    true = np.array(mouth_of(0)) / 2
    assert np.abs(mouths - true).max() < 12 and np.ptp(mouths, axis=0).max() > 1
    assert json.loads((out / FILE).read_bytes())["face_width"] == made.quality.face_width
    assert cv2.imread(str(out / PREVIEW)).shape[1] > 1500, "what was found, and five mouths"
    for name in (FILE, PREVIEW):
        (out / name).unlink()
    assert load_prepared(out, (256, 256)).digest == avatar.digest


def test_what_is_wrong_with_photo_or_landmarks_is_said(photo: Path, tmp_path: Path):
    cut = tmp_path / "cut"
    cut.write_bytes(photo.read_bytes()[:3000])
    marks = tmp_path / "landmarks.json"
    marks.write_text(json.dumps(file_of([points_68(at=(-900, 0))], size=(256, 256))))
    cut_off = Order(str(cut), str(tmp_path / "out"), "anna", "", [(256, 256)])
    far_off = Order(str(photo), str(tmp_path / "out"), "anna", "", [(256, 256)], landmarks=str(marks))
    for order, says in ((cut_off, "cut off"), (far_off, "picture 0")):
        with pytest.raises(CannotPrepare, match=says):
            run_preparation(order, lambda _: None)
        shutil.rmtree(order.out, ignore_errors=True)  # as who gives an order does
