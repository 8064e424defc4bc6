"""What an avatar's size shows of its source pictures: the largest part about the head, in the size's proportions."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.prepared import SizeEntry


@dataclass(frozen=True, slots=True)
class Window:
    """What a size shows of the video; it may reach beyond it. Units: pixels of the video."""

    x: int
    y: int
    width: int
    height: int
    size: tuple[int, int]

    def show(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture as the size shows it, I420. Where the video ends, its own colours go on, blurred and dimmed."""
        scale = self.size[0] / self.width
        tall, wide = picture.shape[:2]
        left, top = max(0, self.x), max(0, self.y)
        right, bottom = min(wide, self.x + self.width), min(tall, self.y + self.height)
        at_x, at_y = round((left - self.x) * scale), round((top - self.y) * scale)
        to_x = min(self.size[0], round((right - self.x) * scale))  # the window's height is a rounded one
        to_y = min(self.size[1], round((bottom - self.y) * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        shown = cv2.resize(picture[top:bottom, left:right], (to_x - at_x, to_y - at_y), interpolation=way)
        if (to_x - at_x, to_y - at_y) != self.size:
            dim = cv2.GaussianBlur(cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA), (0, 0), 2) * 0.6
            whole = cv2.resize(dim.astype(np.uint8), self.size, interpolation=cv2.INTER_CUBIC)
            whole[at_y:to_y, at_x:to_x] = shown
            shown = whole
        return np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def entry(self) -> SizeEntry:
        """As avatar.json has it."""
        name = f"{self.size[0]}x{self.size[1]}"
        view = (float(self.x), float(self.y), float(self.width))
        return SizeEntry(*self.size, f"idle-{name}.mp4", f"poster-{name}.jpg", view)


def window_for(shape: tuple[int, ...], head: tuple[float, float, float, float], size: tuple[int, int]) -> Window:
    """The largest part of the video with the size's proportions about the head; larger where the head needs it."""
    tall, wide = shape[:2]
    left, top, right, bottom = max(0, head[0]), max(0, head[1]), min(wide, head[2]), min(tall, head[3])
    ratio = size[0] / size[1]
    width = max(min(wide, tall * ratio), right - left, (bottom - top) * ratio)
    height = width / ratio
    x, y = (
        _placed(low, high, length, whole)
        for low, high, length, whole in ((left, right, width, wide), (top, bottom, height, tall))
    )
    return Window(round(x), round(y), max(2, round(width)), max(2, round(height)), size)


def _placed(low: float, high: float, length: float, whole: int) -> float:
    """Where a window of ``length`` begins: about the middle of the head, inside the video where it fits."""
    if length >= whole:
        return (whole - length) / 2
    return min(max((low + high - length) / 2, 0), whole - length)
