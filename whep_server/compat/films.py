"""Films: speech made into one file by a job that is asked about, and fetched for a while after it is done."""

import logging
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from whep_server.compat.chunks import ChunkStore
from whep_server.compat.delivery import told_of
from whep_server.errors import BadRequest, NoSuchFile, ServerError
from whep_server.web.on_air import Recording

logger = logging.getLogger(__name__)

MOST_NAME: Final = 100
STOPPED: Final = "the server is being stopped"
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class FilmFailed(ServerError):
    """There is no film, because it could not be made; answered as the original does."""

    status, title = 500, "Not made"


def film_name(asked: str | None, job_id: str) -> str:
    """The name of a film's file: what was asked for without what would make a path of it; else the job's id."""
    plain = _ODD.sub("_", (asked or "").removesuffix(".mp4")).lstrip(".-")[:MOST_NAME]
    return f"{plain or job_id}.mp4"


@dataclass(slots=True)
class Film:
    """One job."""

    job_id: str
    file: str
    done_s: float | None = None
    """When it was done, well or not; by the clock that sweeps."""
    error: str | None = None
    """Why there is no film."""


@dataclass(slots=True)
class Films:
    """All jobs that are remembered. Units: seconds."""

    store: ChunkStore
    kept_s: float
    _films: dict[str, Film] = field(default_factory=dict)

    def begin(self, job_id: str, name: str | None) -> Film:
        """A new job; those that were done long ago are forgotten."""
        long_ago = time.monotonic() - self.kept_s
        for old in [each for each in self._films.values() if each.done_s is not None and each.done_s < long_ago]:
            del self._films[old.job_id]
        film = self._films[job_id] = Film(job_id, film_name(name, job_id))
        return film

    def find(self, job_id: str) -> Film:
        """Errors: NoSuchFile."""
        try:
            return self._films[job_id]
        except KeyError:
            raise NoSuchFile("Request not found") from None

    def made(self, job_id: str) -> Film:
        """A film that can be fetched. Errors: NoSuchFile, BadRequest (not done), FilmFailed."""
        film = self.find(job_id)
        if film.done_s is None:
            raise BadRequest("Generation not completed")
        if film.error is not None:
            raise FilmFailed(film.error)
        return film

    async def run(self, film: Film, recording: Recording, held: ExitStack) -> None:
        """Make it; ``held`` is closed when that is over."""
        film.error = STOPPED
        try:
            film.error = await self._keep(film, recording)
        finally:
            recording.close()
            held.close()
            film.done_s = time.monotonic()

    async def _keep(self, film: Film, recording: Recording) -> str | None:
        """Store the pieces; why that failed."""
        try:
            async for piece in recording:
                await self.store.append(film.job_id, film.file, piece.data)
            await self.store.finish(film.job_id, film.file)
        except ServerError as error:
            return error.detail
        except Exception as error:  # ends this job, not the group that its task is in
            logger.exception("a film could not be made")
            return told_of(error)
        return None
