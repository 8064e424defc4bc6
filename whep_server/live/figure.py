"""How a stream's figure holds itself: asked to take a pose, it goes over in a live stretch, and rests in an idle loop.

The first time that a pose is taken there is no loop of it. It is made then, and until it is there the worker draws the
figure live, so that nobody waits for it. A stream that nobody watches changes its pose when the loop is there, unseen.
"""

from collections.abc import Callable, Sequence

from avatar.messages import NEUTRAL_POSE, POSES, SetPose
from whep_server.errors import Conflict, NoSuchPose
from whep_server.live.events import StreamEvent
from whep_server.live.house import House
from whep_server.live.idle import IdleLoops
from whep_server.live.programme import Programme
from whep_server.live.telling import tell
from whep_server.live.transmission import Transmission


class Figure:
    """One stream's."""

    def __init__(
        self,
        programme: Programme,
        loops: IdleLoops,
        house: House,
        air: Transmission,
        emit: Callable[[StreamEvent], None],
        watched: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        """``emit`` takes the stream's events, ``wake`` has what is due be shown."""
        self.poses: Sequence[str] = programme.avatar.poses
        """Those that it can take."""
        self._key, self._worker, self._ledger = programme.key, house.worker, house.ledger
        self._loops, self._air = loops, air
        self._emit, self._watched, self._wake = emit, watched, wake
        self._known = False  # to the worker, with its avatar in memory
        self._told: SetPose | None = None

    @property
    def pose(self) -> str:
        """What it has been asked to take last."""
        return self._air.posing.wanted

    def event(self) -> StreamEvent:
        """Its pose, for those who listen."""
        return StreamEvent("pose", {"pose": self.pose})

    def take(self, pose: str) -> None:
        """Go over to a pose, and stay in it until told otherwise, under speech, too.

        Errors: NoSuchPose; Conflict where this avatar has it not.
        """
        if pose not in POSES:
            raise NoSuchPose(f"no pose {pose[:40]!r}: there are {', '.join(POSES)}")
        if pose not in self.poses:
            raise Conflict(f"this avatar cannot be moved: it has the pose {', '.join(self.poses)} only")
        if pose != self.pose:
            self._take(pose)
            self._ledger.poses[pose] += 1
            self.fit()

    def _take(self, pose: str) -> None:
        self._air.posing.want(pose, self._air.frame)
        self._loops.want_pose(pose)
        self._emit(self.event())

    def fit(self) -> None:
        """Something has changed that it depends on: the worker, the loops, a stretch, or who watches."""
        if not self._known:
            return
        posing = self._air.posing
        order = SetPose(self._key, posing.wanted, posing.ready)
        if order != self._told:
            self._told = order
            tell(self._worker, order)
        if posing.wanted == posing.shown or self._air.stretches.open:
            return
        if self._watched():
            self._air.go_live(moves_only=True)
            self._wake()
        elif posing.ready:
            posing.settle(self._air.frame + 1, posing.wanted)

    def opened(self) -> None:
        """A worker knows the stream, and thinks that it is in the neutral pose."""
        self._known, self._told = True, SetPose(self._key, NEUTRAL_POSE, rests=True)
        self.fit()

    def worker_lost(self) -> None:
        """Nobody moves it for now."""
        self._known = False

    def loop_failed(self, pose: str) -> None:
        """There will be no idle loop of a pose: go back to the one before."""
        self._loops.drop_pose(pose)
        if pose == self.pose != self._air.posing.shown:
            self._take(self._air.posing.shown)
            self.fit()
