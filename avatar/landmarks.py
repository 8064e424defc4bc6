"""A user's own points of the face, instead of those that are found: a JSON file, of any tool that finds them.

    {"size": [1280, 720], "fps": 25, "pictures": [...]}

``size`` is that of the upright pictures which the points are in; they are scaled from it. ``pictures`` has an entry for
each picture of the video, ``fps`` of them a second; or one alone, for a photo, or of a video's first picture, from
where on the face is followed. An entry is a list of the 68 points of iBUG's scheme, each [x, y], or an object with the
six points of ``Marks``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.face_points import FacePoints, box_of, jaw_line
from avatar.faces import KnownFace
from avatar.footage import FPS, NotFootage
from avatar.lips import Lips

MOST_BYTES: Final = 32 * 1024 * 1024
_MOST_SHAPE: Final = 0.02
"""By how much width to height may differ from the pictures': a rounded size does."""
_LEAST_MOUTH: Final = 8.0
"""Units: pixels."""

Point = tuple[float, float]


class Marks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Six points of a face; left and right as the picture shows them."""

    left_corner: Point
    right_corner: Point
    """Of the mouth."""
    upper_lip: Point
    """The middle of its lower edge."""
    lower_lip: Point
    """The middle of its upper edge: with the mouth shut, the same place."""
    chin: Point
    """Its lowest point."""
    nose_bridge: Point
    """Two thirds of the way from between the eyes to the tip of the nose."""


Entry = Annotated[list[Point], msgspec.Meta(min_length=68, max_length=68)] | Marks


class LandmarksFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the file has it."""

    size: tuple[Annotated[int, msgspec.Meta(ge=16, le=16384)], Annotated[int, msgspec.Meta(ge=16, le=16384)]]
    pictures: Annotated[list[Entry], msgspec.Meta(min_length=1, max_length=20_000)]
    fps: Annotated[float, msgspec.Meta(gt=0, le=480)] = float(FPS)


@dataclass(frozen=True, slots=True)
class Landmarks:
    """One or all pictures' points. Units: pixels of the pictures. n: 1 or as many as there are pictures."""

    six: NDArray[np.float64]
    """In the order of ``Marks``. Shapes: (n, 6, 2)."""
    points: NDArray[np.float64]
    """All that are known, the jaw's 17 first. Shapes: (n, K, 2)."""

    def moved(self, move: NDArray[np.float64]) -> "Landmarks":
        """The same in a picture that is moved. Shapes: move (2, 3)."""
        return Landmarks(*(each @ move[:, :2].T + move[:, 2] for each in (self.six, self.points)))

    def face_points(self) -> FacePoints:
        """For boxes and masks."""
        return FacePoints(self.points, self.six[:, 5])

    def lips(self, picture: int) -> Lips:
        """The mouth of an entry."""
        left, right, upper, lower, _, _ = self.six[picture]
        across = right - left
        half = float(np.hypot(*across)) / 2
        middle = (upper + lower) / 2
        down = np.array([-across[1], across[0]]) / (2 * half)
        bow = float(((left + right) / 2 - middle) @ down) / half
        tilt = float(np.arctan2(across[1], across[0]))
        return Lips(float(middle[0]), float(middle[1]), half, tilt, float(np.clip(bow, -0.9, 0.9)))


def known_face(marks: Landmarks) -> KnownFace:
    """Where the face is, for who follows it; the reference is the picture with the most usual points."""
    six = marks.six
    reference = int(np.abs(six - np.median(six, axis=0)).max(axis=(1, 2)).argmin())
    _, _, upper, lower, chin, bridge = six[reference]
    box = box_of(chin, bridge, (upper + lower) / 2)
    return KnownFace(reference, box, None if len(six) == 1 else _similarities(marks.points, reference))


def _similarities(points: NDArray[np.float64], reference: int) -> NDArray[np.float64]:
    """The best shift, turn and scale from one picture's points to each one's. Shapes: (N, K, 2) -> (N, 2, 3).

    With points as complex numbers: least squares of ``a * z + b``.
    """
    numbers = points[..., 0] + 1j * points[..., 1]
    middles = numbers.mean(axis=1)
    apart = numbers - middles[:, None]
    one = apart[reference]
    turn = (apart @ one.conj()) / (one @ one.conj()).real
    shift = middles - turn * middles[reference]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.moveaxis(np.array(rows), 2, 0)


def read_landmarks(path: Path, pictures: int, shape: tuple[int, ...]) -> Landmarks:
    """The file's points for so many pictures of (height, width). Errors: NotFootage with the picture, OSError."""
    if path.stat().st_size > MOST_BYTES:
        raise NotFootage(f"the landmarks file has {path.stat().st_size} bytes; {MOST_BYTES} are the most")
    try:
        held = msgspec.json.decode(path.read_bytes(), type=LandmarksFile)
    except msgspec.DecodeError as error:
        raise NotFootage(f"the landmarks file: {_with_picture(str(error))}") from error
    if pictures == 1 and len(held.pictures) > 1:
        raise NotFootage(f"the landmarks file has {len(held.pictures)} pictures; a photo is one")
    kinds = {type(entry) for entry in held.pictures}
    if len(kinds) > 1:
        raise NotFootage("the landmarks file: some pictures have 68 points and others six; they must be of one kind")
    scale = _scale(held, shape)
    six = np.array([_six(entry) for entry in held.pictures], np.float64) * scale
    for number, entry in enumerate(six):
        if wrong := _fault(entry, shape):
            raise NotFootage(f"the landmarks file: picture {number}: {wrong}")
    if isinstance(held.pictures[0], Marks):
        points = np.stack([jaw_line(*entry[4:]) for entry in six])
    else:
        points = np.array(held.pictures, np.float64) * scale
    if len(six) == 1:
        return Landmarks(six, points)
    return Landmarks(_at_rate(six, held.fps, pictures), _at_rate(points, held.fps, pictures))


def _with_picture(error: str) -> str:
    """Msgspec's words, with the picture's number in front."""
    found = re.search(r"\$\.pictures\[(\d+)\]", error)
    return f"picture {found[1]}: {error}" if found else error


def _scale(held: LandmarksFile, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """From the file's pixels to ours, for x and y. Errors: NotFootage where it is of another picture."""
    tall, wide = shape[:2]
    across, down = wide / held.size[0], tall / held.size[1]
    if abs(across / down - 1) > _MOST_SHAPE:
        raise NotFootage(
            f"the landmarks file is of pictures of {held.size[0]}x{held.size[1]}, these are {wide}x{tall}: its size "
            "must be that of the upright pictures"
        )
    return np.array([across, down])


def _six(entry: Sequence[Point] | Marks) -> list[Point]:
    """The order of ``Marks``. iBUG counts from 1; here from 0."""
    if isinstance(entry, Marks):
        return [getattr(entry, name) for name in Marks.__struct_fields__]
    return [entry[48], entry[54], entry[62], entry[66], entry[8], entry[29]]


def _fault(six: NDArray[np.float64], shape: tuple[int, ...]) -> str:
    """What is wrong with a picture's points; empty where nothing is."""
    tall, wide = shape[:2]
    if (six < -0.5 * np.array([wide, tall])).any() or (six > 1.5 * np.array([wide, tall])).any():
        return "a point lies far outside the picture"
    left, right, upper, lower, chin, bridge = six
    if (six[:4] < 0).any() or (six[:4] > np.array([wide, tall])).any():
        return "the mouth lies outside the picture"
    width = float(np.hypot(*(right - left)))
    if width < _LEAST_MOUTH:
        return f"the mouth is {width:.1f} pixels wide"
    down = np.array([-(right - left)[1], (right - left)[0]]) / width
    middle = (upper + lower) / 2
    if (chin - middle) @ down <= 0:
        return "the chin is above the lips (or left and right of the mouth are interchanged)"
    if (middle - bridge) @ down <= 0:
        return "the nose's bridge is below the lips"
    return ""


def _at_rate(values: NDArray[np.float64], fps: float, pictures: int) -> NDArray[np.float64]:
    """At our 25 pictures a second, between the file's own. Errors: NotFootage where there are too few."""
    wanted = np.arange(pictures) / FPS * fps
    if wanted[-1] > len(values) - 0.5:
        raise NotFootage(
            f"the landmarks file has {len(values)} pictures at {fps:g} a second, the video needs {pictures / FPS:g} s "
            f"of them (or one alone)"
        )
    wanted = np.minimum(wanted, len(values) - 1)
    before = np.floor(wanted).astype(int)
    part = (wanted - before)[:, None, None]
    after = np.minimum(before + 1, len(values) - 1)
    return np.asarray(values[before] * (1 - part) + values[after] * part)
