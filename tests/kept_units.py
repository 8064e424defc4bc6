"""What a feed sends, kept: the end of the line for tests of what is sent when."""

from whep_server.live.packetize import Packetised
from whep_server.rtc.sender import Feedback


class KeptUnits:
    """An outlet to nobody, ``full`` where a test says so."""

    def __init__(self) -> None:
        self.feedback = Feedback()
        self.full = False
        self._units: list[Packetised] = []

    def send(self, unit: Packetised) -> None:
        assert not self.full
        self._units.append(unit)

    def taken(self) -> list[Packetised]:
        """What was sent since this was last asked."""
        units, self._units = self._units, []
        return units
