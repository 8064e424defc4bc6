"""What an avatar is made of, whichever engine it is for: a loop of pictures, and where the face is in each.

Of a video the pictures are read, the face is followed, and the loop is closed; of a photo they are made, and all is
known. Pictures lie on disk, since they are large.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.appraise import Closing
from avatar.face_points import FacePoints, points_through
from avatar.faces import EVERY, FaceTrack, smoothed, track_face
from avatar.footage import FPS, FootageLimits, NotFootage, pictures_of
from avatar.landmarks import Landmarks, known_face, read_landmarks
from avatar.lips import Lips, find_lips
from avatar.loop_seam import BLEND, blend, find_seam, seam_of
from avatar.photo import read_photo, sway_moves, swaying

Progress = Callable[[str, float], None]
_SEARCHING = "looking for the face"


@dataclass(frozen=True, slots=True)
class Material:
    """A loop of whole seconds, and the face in it."""

    pictures: list[NDArray[np.uint8]]
    """Shapes: (H, W, 3) each, BGR; on disk."""
    track: FaceTrack
    lips: Lips
    """In the coordinates of the track's box."""
    points: FacePoints
    closing: Closing
    notes: list[str]
    """What was left out."""


def read_video_material(path: Path, scratch: Path, side: int, landmarks: str, progress: Progress) -> Material:
    """Of a video; ``scratch`` is the file for its pictures. Errors: NotFootage, OSError."""
    pictures, notes = _read_video(path, scratch, side, progress)
    marks = read_landmarks(Path(landmarks), len(pictures), pictures[0].shape) if landmarks else None
    known = None if marks is None else known_face(marks)
    track = track_face(pictures, lambda done: progress(_SEARCHING, 0.3 + 0.25 * done), known)
    lips = find_lips(pictures[track.reference], track.box) if marks is None else marks.lips(_entry(marks, track))
    points = _points(marks, track, lips)
    progress("looking for where the loop closes", 0.55)
    seam = find_seam(pictures, track)
    if seam is None:
        return _there_and_back(Material(pictures, track, lips, points, Closing(there_and_back=True, seam=0.0), notes))
    blend(pictures, track, seam)
    shown = pictures[seam.first : seam.end]
    left_s = (len(pictures) - len(shown)) / FPS
    notes.append(f"the loop is {len(shown) / FPS:.0f} s long: {left_s:.1f} s of the video are left out")
    points = FacePoints(seam.cut(points.points), seam.cut(points.bridge))
    track = _part(track, seam.first, seam.cut(track.moves))
    return Material(shown, track, lips, points, Closing(there_and_back=False, seam=seam_of(shown, BLEND)), notes)


def _there_and_back(whole: Material) -> Material:
    """Whole seconds of it: at every rate the loop then has a whole number of frames, keyframes where they belong."""
    end = len(whole.pictures) // FPS * FPS
    points = FacePoints(whole.points.points[:end], whole.points.bridge[:end])
    track = _part(whole.track, 0, whole.track.moves[:end])
    return replace(whole, pictures=whole.pictures[:end], track=track, points=points)


def _entry(marks: Landmarks, track: FaceTrack) -> int:
    return 0 if len(marks.six) == 1 else track.reference


def _points(marks: Landmarks | None, track: FaceTrack, lips: Lips) -> FacePoints:
    if marks is None:
        return points_through(track, lips)
    points = marks.face_points()
    if len(marks.six) == 1:
        return points.moved(track.moves)
    return FacePoints(smoothed(points.points), smoothed(points.bridge[:, None])[:, 0])


def _part(track: FaceTrack, first: int, moves: NDArray[np.float64]) -> FaceTrack:
    """Of the loop alone; its reference is the picture that is nearest to the old one."""
    reference = int(np.abs(moves - np.eye(2, 3)).max(axis=(1, 2)).argmin())
    seen = track.seen[[min((first + at) // EVERY, len(track.seen) - 1) for at in range(0, len(moves), EVERY)]]
    return replace(track, reference=reference, moves=moves, seen=seen)


def _read_video(video: Path, scratch: Path, side: int, progress: Progress) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """The video's pictures, which can be written to, and what was left out. Errors: NotFootage."""
    most_s = FootageLimits().max_s
    most = round(most_s * FPS)
    limits = FootageLimits(max_s=most_s + 1 / FPS, max_side=side)
    count = 0
    shape: tuple[int, ...] = ()
    with scratch.open("wb") as file:
        for picture in pictures_of(video, limits):
            if count < most:
                file.write(picture.tobytes())
            count, shape = count + 1, picture.shape
            if count % FPS == 0:
                progress("reading the video", 0.3 * min(1.0, count / most))
    notes = [f"only the first {most_s:.0f} s of the video are used"] if count > most else []
    if count < FPS:
        raise NotFootage(f"the video is {count / FPS:.2f} s long; one second is needed")
    return list(np.memmap(scratch, np.uint8, "r+", shape=(min(count, most), *shape))), notes


def read_photo_material(path: Path, scratch: Path, side: int, landmarks: str, progress: Progress) -> Material:
    """Of a photo. Errors: NotFootage, OSError."""
    photo = read_photo(path, side)
    moves = sway_moves(photo.shape)
    pictures = list(np.memmap(scratch, np.uint8, "w+", shape=(len(moves), *photo.shape)))
    for number, picture in enumerate(swaying(photo, moves)):
        if number % FPS == 0:
            progress("moving the photo", 0.3 * number / len(moves))
        pictures[number][...] = picture
    marks = None
    if landmarks:
        marks = read_landmarks(Path(landmarks), 1, photo.shape).moved(moves[0])
    first = track_face(
        pictures[:1], lambda done: progress(_SEARCHING, 0.3 + 0.25 * done), None if marks is None else known_face(marks)
    )
    lips = find_lips(pictures[0], first.box) if marks is None else marks.lips(0)
    back = np.linalg.inv(np.vstack([moves[0], [0, 0, 1]]))
    seen = np.ones(len(range(0, len(moves), EVERY)), np.bool_)
    track = FaceTrack(0, first.box, moves @ back, seen)
    closing = Closing(there_and_back=False, seam=seam_of(pictures, 0))
    return Material(pictures, track, lips, _points(marks, track, lips), closing, [])
