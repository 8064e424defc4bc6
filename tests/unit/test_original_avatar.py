"""Directories of the original server: read as they are, or refused with the reason."""

import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.musetalk.musetalk_state import patch_of
from avatar.engines.musetalk.original_avatar import load_original, sizes_offered
from avatar.folders import describe, find_folder, listed
from avatar.prepared import AvatarInvalid, Box, PreparedAvatar
from tests.musetalk_avatars import PICTURES, SIZE, crop_box, face_box, mask, picture, write_original


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_original(tmp_path_factory.mktemp("avatars") / "anna-1.b")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture(scope="module")
def loaded(whole: Path) -> PreparedAvatar:
    return load_original(whole, SIZE)


def test_its_pictures_are_kept_once_and_shown_there_and_back(loaded: PreparedAvatar):
    assert loaded.pictures.shape == (PICTURES, SIZE[1] * 3 // 2, SIZE[0])
    assert loaded.there_and_back and loaded.loop_length == 2 * PICTURES and loaded.fps == 25
    expected = cv2.cvtColor(picture(7), cv2.COLOR_BGR2YUV_I420)
    assert np.array_equal(loaded.pictures[7], expected)


def test_both_forms_of_latents_are_the_same(loaded: PreparedAvatar, tmp_path: Path):
    stacked = load_original(write_original(tmp_path / "stacked", stacked=True), SIZE)
    assert np.array_equal(stacked.state.latents, loaded.state.latents)  # type: ignore[attr-defined]
    assert stacked.state.latents.shape == (PICTURES, 8, 32, 32)  # type: ignore[attr-defined]


def test_it_is_listed_at_the_usual_size_and_its_own(whole: Path):
    (info,) = listed(whole.parent, (640, 360), shipped=False)
    assert (info.name, info.title, info.engine, info.sizes) == ("anna-1.b", "anna", "musetalk", [(640, 360), SIZE])
    assert find_folder(whole.parent, "anna-1.b") == whole
    assert sizes_offered(whole, SIZE) == [SIZE]
    for name in ("../anna-1.b", "anna-1.b/..", "nobody"):
        with pytest.raises(AvatarInvalid):
            find_folder(whole.parent, name)


def blended_as_the_original(number: int, face: np.ndarray) -> np.ndarray:
    """Its blending in words of our own: face over the box, box over the crop, by the mask. BGR."""
    shown, box = picture(number), face_box(number)
    crop = crop_box(box)
    pasted = shown.copy()
    pasted[box[1] : box[3], box[0] : box[2]] = cv2.resize(face, (box[2] - box[0], box[3] - box[1]))
    weight = mask(box, crop)[..., None] / 255
    left, top, right, bottom = crop
    blended = weight * pasted[top:bottom, left:right] + (1 - weight) * shown[top:bottom, left:right]
    shown[top:bottom, left:right] = np.rint(blended).astype(np.uint8)
    return shown


def smooth_face() -> np.ndarray:
    down, across = np.mgrid[0:256, 0:256]
    return np.stack([across // 2 + 60, down // 2 + 40, 200 - down // 3], axis=2).astype(np.uint8)


def test_a_face_is_laid_in_as_the_original_lays_it(loaded: PreparedAvatar):
    state, face = loaded.state, smooth_face()
    assert 100 < state.top < 128, "the mouth's half, and where its edge is soft"  # type: ignore[attr-defined]
    for number in (0, 6, 19):
        mouth = state.mouths[number]  # type: ignore[attr-defined]
        rgb = np.ascontiguousarray(face[state.top :, :, ::-1])  # type: ignore[attr-defined]
        patch = Patch(number, Box(*mouth.box), patch_of(mouth, rgb, state.top, 1.0))  # type: ignore[attr-defined]
        made = compose(loaded.pictures[number], patch)
        expected = cv2.cvtColor(blended_as_the_original(number, face), cv2.COLOR_BGR2YUV_I420)
        apart = np.abs(made.astype(int) - expected)
        assert apart[: SIZE[1]].max() <= 6 and apart.mean() < 0.1
        x, y, width, height = mouth.box
        outside = np.ones(made.shape, bool)
        outside[y : y + height, x : x + width] = False
        assert np.array_equal(
            made[: SIZE[1]][outside[: SIZE[1]]], loaded.pictures[number][: SIZE[1]][outside[: SIZE[1]]]
        )


def test_without_strength_nothing_changes_and_with_half_of_it_half(loaded: PreparedAvatar):
    state = loaded.state
    mouth, face = state.mouths[3], smooth_face()[state.top :]  # type: ignore[attr-defined]
    whole, half, none = (patch_of(mouth, face, state.top, part) for part in (1.0, 0.5, 0.0))  # type: ignore[attr-defined]
    assert not none.any()
    assert np.abs(whole.astype(int) - 2 * half.astype(int)).max() <= 3


@pytest.mark.parametrize("size", [(512, 512), (640, 360), (96, 128)])
def test_any_size_shows_the_same_mouth_on_the_same_face(loaded: PreparedAvatar, whole: Path, size: tuple[int, int]):
    """The mouth that the pictures show, dark red, is where the mask's middle is."""
    shown = load_original(whole, size)
    for number in (0, 12):
        x, y, width, height = shown.state.mouths[number].box  # type: ignore[attr-defined]
        assert not (x | y | width | height) & 1
        assert x >= 0 and x + width <= size[0] and y >= 0 and y + height <= size[1]
        bgr = cv2.cvtColor(shown.pictures[number], cv2.COLOR_YUV2BGR_I420).astype(int)
        red = (bgr[..., 2] > bgr[..., 1] + 50) & (bgr[..., 1] < 110)
        where_y, where_x = np.nonzero(red)
        assert x + 0.3 * width < where_x.mean() < x + 0.7 * width
        assert y < where_y.mean() < y + height


def drop_a_latent(folder: Path) -> None:
    torch.save(torch.load(folder / "latents.pt")[:-2], folder / "latents.pt")


def lose_a_face(folder: Path) -> None:
    boxes = [face_box(number) for number in [*range(PICTURES), *reversed(range(PICTURES))]]
    boxes[4] = boxes[-5] = (0.0, 0.0, 0.0, 0.0)
    (folder / "coords.pkl").write_bytes(pickle.dumps(boxes))


def evil(folder: Path) -> None:
    (folder / "coords.pkl").write_bytes(pickle.dumps([print]))


def evil_latents(folder: Path) -> None:
    torch.save([print], folder / "latents.pt")


def shorten(folder: Path) -> None:
    for number in range(10, 2 * PICTURES):
        (folder / "full_imgs" / f"{number:08d}.png").unlink()
        (folder / "mask" / f"{number:08d}.png").unlink()
    for name in ("coords.pkl", "mask_coords.pkl"):
        (folder / name).write_bytes(pickle.dumps(pickle.loads((folder / name).read_bytes())[:10]))
    torch.save(torch.load(folder / "latents.pt")[:10], folder / "latents.pt")


DAMAGES = {
    "48 latents: in some pictures no face was found": drop_a_latent,
    "no face was found in picture 4": lose_a_face,
    "coords.pkl: it asks for builtins.print": evil,
    "latents.pt holds no latents": evil_latents,
    "one second is needed": shorten,
    "latents.pt: No such file": lambda folder: (folder / "latents.pt").unlink(),
    "00000003.png is missing": lambda folder: (folder / "full_imgs" / "00000003.png").unlink(),
    "mask/00000001.png is no mask": lambda folder: (folder / "mask" / "00000001.png").write_bytes(b"x"),
    "00000001.png is no picture of 240x320": lambda folder: (folder / "full_imgs" / "00000001.png").write_bytes(b""),
    "full_imgs/00000000.png is no PNG": lambda folder: (folder / "full_imgs" / "00000000.png").write_bytes(b"x"),
    "the folder mask is missing": lambda folder: shutil.rmtree(folder / "mask"),
    "avator_info.json": lambda folder: (folder / "avator_info.json").write_text("no"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_what_does_not_fit_together_is_refused_with_the_reason(copy: Path, reason: str):
    DAMAGES[reason](copy)
    with pytest.raises(AvatarInvalid) as refused:
        load_original(copy, SIZE)
    assert reason in str(refused.value)


def test_pictures_that_do_not_fill_a_second_are_left_out(tmp_path: Path):
    directory = write_original(tmp_path / "long", pictures=31)
    assert len(load_original(directory, SIZE).pictures) == 25


def test_a_loop_that_is_no_way_back_is_shown_as_it_is(copy: Path):
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((50, 8, 32, 32)).astype(np.float16))
    torch.save(noise, copy / "latents.pt")
    shown = load_original(copy, SIZE)
    assert (len(shown.pictures), shown.there_and_back) == (50, False)


def test_what_changes_on_disk_is_another_avatar(copy: Path, loaded: PreparedAvatar):
    before = load_original(copy, SIZE).digest
    cv2.imwrite(str(copy / "full_imgs" / "00000002.png"), picture(3))
    assert len({before, load_original(copy, SIZE).digest, load_original(copy, (96, 128)).digest}) == 3
    assert describe(copy, SIZE, shipped=False).sizes == [SIZE]
