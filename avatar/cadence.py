"""Which of a stream's pictures are drawn, where not all are: as evenly as what was left out allows. Pure.

Between two that are drawn, the first is shown again.
"""


class Cadence:
    """One stream's. Units: pictures a second."""

    def __init__(self, fps: int, drawn_fps: int, hurried_fps: int) -> None:
        """``drawn_fps``: at most, 0 for all; ``hurried_fps``: the same while the worker does not keep up."""
        self._fps = fps
        self._drawn = float(drawn_fps or fps)
        # shown for equally long each: 12.5 of 25, where 15 are allowed
        self._hurried = fps / -(-fps // hurried_fps) if hurried_fps else float(fps)
        self.quick = False
        self._latest = 0

    def draws(self, frame: int, *, needed: bool) -> bool:
        """Whether the picture of a frame is drawn: where it is ``needed``, or due since the latest one."""
        drawn = min(self._drawn, self._hurried) if self.quick else self._drawn
        due = needed or drawn >= self._fps or frame * drawn // self._fps != self._latest * drawn // self._fps
        if due:
            self._latest = frame
        return due
