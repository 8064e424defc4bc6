"""A directory as the MuseTalk API server leaves it, made up: a grey room, a face that sways, noise for latents."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

SIZE = (240, 320)
"""Width and height of the pictures."""
PICTURES = 25
"""Forward; as many again backward."""


def face_box(number: int) -> list[int]:
    """left, top, right, bottom of the face in a picture of the way forward."""
    shift = round(8 * np.sin(2 * np.pi * number / 50))
    return [70 + shift, 90, 160 + shift, 202]


def crop_box(face: list[int]) -> list[int]:
    """The square about it, as the original computes it."""
    middle_x, middle_y = (face[0] + face[2]) // 2, (face[1] + face[3]) // 2
    half = int(max(face[2] - face[0], face[3] - face[1]) // 2 * 1.5)
    return [middle_x - half, middle_y - half, middle_x + half, middle_y + half]


def picture(number: int) -> NDArray[np.uint8]:
    """BGR."""
    width, height = SIZE
    down, across = np.mgrid[0:height, 0:width]
    shown = np.stack([60 + across // 4, 70 + down // 5, 80 + (across + down) // 8], axis=2).astype(np.uint8)
    left, top, right, bottom = face_box(number)
    middle, axes = ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2)
    cv2.ellipse(shown, middle, axes, 0, 0, 360, (140, 170, 210), -1)
    cv2.ellipse(shown, (middle[0], middle[1] + 30), (18, 4), 0, 0, 360, (70, 60, 150), -1)
    return shown


def mask(face: list[int], crop: list[int]) -> NDArray[np.uint8]:
    """White over the lower half of the face, with soft edges."""
    side = crop[2] - crop[0]
    made = np.zeros((side, side), np.uint8)
    left, top, right, bottom = face[0] - crop[0], side // 2, face[2] - crop[0], face[3] - crop[1]
    cv2.ellipse(made, ((left + right) // 2, top), ((right - left) // 2 - 6, bottom - top - 4), 0, 0, 180, 255, -1)
    blur = int(0.05 * side) // 2 * 2 + 1
    return np.asarray(cv2.GaussianBlur(made, (blur, blur), 0), np.uint8)


def write_original(directory: Path, *, stacked: bool = False, name: str = "anna", pictures: int = PICTURES) -> Path:
    """All files of an avatar; ``directory``. Latents as a list, or ``stacked`` in one tensor."""
    for folder in ("full_imgs", "mask", "vid_output"):
        (directory / folder).mkdir(parents=True)
    noise = np.random.default_rng(7).standard_normal((pictures, 1, 8, 32, 32)).astype(np.float16)
    there = list(range(pictures))
    cycle = there + there[::-1]
    faces = [face_box(number) for number in cycle]
    crops = [crop_box(face) for face in faces]
    for place, number in enumerate(cycle):
        cv2.imwrite(str(directory / "full_imgs" / f"{place:08d}.png"), picture(number))
        cv2.imwrite(str(directory / "mask" / f"{place:08d}.png"), mask(faces[place], crops[place]))
    as_left = [[np.int64(left), np.int64(top), np.int64(right), bottom] for left, top, right, bottom in faces]
    (directory / "coords.pkl").write_bytes(pickle.dumps(as_left))
    (directory / "mask_coords.pkl").write_bytes(pickle.dumps(crops))
    latents = [torch.from_numpy(noise[number]) for number in cycle]
    torch.save(torch.stack(latents) if stacked else latents, directory / "latents.pt")
    info = {"avatar_id": name, "video_path": f"uploads/videos/{name}.mp4", "bbox_shift": 0, "version": "v15"}
    (directory / "avator_info.json").write_text(json.dumps(info))
    return directory
