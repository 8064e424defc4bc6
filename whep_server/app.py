"""The ASGI application: routes, errors, CORS, and the registry's life inside the application's."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from whep_server import __version__, log
from whep_server.compat import catalog, dialect, generate, origins, players, prepare_avatar, service, sse, webrtc
from whep_server.compat.office import Office, open_office
from whep_server.metrics.scrape import open_scrape
from whep_server.settings import Settings
from whep_server.tracing import spans
from whep_server.web import (
    avatar_jobs,
    avatars,
    endpoints,
    files,
    interrupt,
    narrator,
    openapi,
    ops,
    pages,
    pcm,
    pcm_upload,
    reference,
    session_sse,
    sessions,
    speech,
    streams,
    take_pose,
)
from whep_server.web.auth import Door
from whep_server.web.bodies import HttpRequest
from whep_server.web.closing import Closing
from whep_server.web.cors import Cors
from whep_server.web.forgetting import Forgetting
from whep_server.web.on_air import Registry
from whep_server.web.permissions import check_table
from whep_server.web.problems import HANDLERS
from whep_server.web.subject import subject
from whep_server.web.tally import Tally

OpenRegistry = Callable[[Settings], AbstractAsyncContextManager[Registry]]


def exchange_router(direction: endpoints.Direction) -> Router:
    """The endpoint and the sessions of one protocol."""
    return Router(
        f"/{direction.protocol}",
        route_handlers=[
            endpoints.endpoint_options,  # each path's OPTIONS first: else Litestar's own one takes the place
            endpoints.take_offer,
            endpoints.show_endpoint,
            sessions.session_options,
            sessions.change_session,
            sessions.end_session,
            sessions.show_session,
            *(session_sse.ROUTES if direction.events else []),
        ],
        dependencies={"direction": Provide(lambda: direction, use_cache=True, sync_to_thread=False)},
    )


def compat_router() -> Router:
    """The original server's routes; their errors look as it wrote them."""
    modules = (service, catalog, prepare_avatar, sse, generate, webrtc, players)
    handlers: list[ControllerRouterHandler] = [handler for module in modules for handler in module.ROUTES]
    return Router("/", route_handlers=handlers, exception_handlers=dialect.HANDLERS)


def create_app(
    settings: Settings,
    open_registry: OpenRegistry,
    closing: Closing | None = None,
    certificate_expires_s: Callable[[], float] | None = None,
) -> Litestar:
    """The application. ``closing`` is set by who ends the server, so that open event streams do not hold it up.

    ``certificate_expires_s`` tells when the certificate does, where the server has one (seconds since 1970).
    """
    held: list[Registry] = []
    offices: list[Office] = []
    narrators: list[narrator.Narrator] = []
    ended = closing or Closing()

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with (
            open_registry(settings) as registry,
            open_office(registry, settings) as office,
            narrator.open_narrator(settings) as reader,
        ):
            held.append(registry)
            offices.append(office)
            narrators.append(reader)
            gc.collect()
            gc.freeze()  # what was loaded at start lives as long as the process: no collection need look at it
            try:
                yield
            finally:
                ended.set()
                held.clear()
                offices.clear()
                narrators.clear()

    async def say_what_it_is_about(request: HttpRequest) -> None:
        log.begin(subject(request.path_params, held[0]) if held else {})
        spans.begin(request.headers)

    tally = Tally()
    scrape = open_scrape(lambda: held[0] if held else None, tally.counts, __version__, certificate_expires_s)
    door, cors = Door(settings), Cors(settings)
    page_set = pages.load_pages(settings.templates)
    modules = (
        avatars,
        avatar_jobs,
        files,
        interrupt,
        ops,
        pages,
        pcm,
        pcm_upload,
        reference,
        speech,
        streams,
        take_pose,
    )
    handlers: list[ControllerRouterHandler] = [handler for module in modules for handler in module.ROUTES]
    app = Litestar(
        route_handlers=[exchange_router(endpoints.WHEP), exchange_router(endpoints.WHIP), compat_router(), *handlers],
        dependencies={
            "compat": Provide(lambda: offices[0], sync_to_thread=False),
            "live": Provide(lambda: held[0], sync_to_thread=False),
            "narrator": Provide(lambda: narrators[0], sync_to_thread=False),
            "config": Provide(lambda: settings, use_cache=True, sync_to_thread=False),
            "closing": Provide(lambda: ended, use_cache=True, sync_to_thread=False),
            "scrape": Provide(lambda: scrape, use_cache=True, sync_to_thread=False),
            "door": Provide(lambda: door, use_cache=True, sync_to_thread=False),
            "cors": Provide(lambda: cors, use_cache=True, sync_to_thread=False),
            "pages": Provide(lambda: page_set, use_cache=True, sync_to_thread=False),
        },
        lifespan=[lifespan],
        guards=[door.guard],
        middleware=[door.crowd, Forgetting()],
        before_request=say_what_it_is_about,
        before_send=[tally.count, cors.add, origins.opened(cors)],
        exception_handlers={**HANDLERS, HTTPException: origins.refuse},
        openapi_config=None,
        logging_config=None,  # whep_server.log decides how logs look; problems.py logs what is unexpected
        request_max_body_size=None,  # web/bodies.py counts
    )
    check_table(app.routes)
    app.state["cors"] = cors
    document = openapi.build(app.routes, __version__)
    app.state["openapi"] = msgspec.json.encode(document)
    app.state["reference"] = reference.reference_page(page_set.reference, document, settings.base_path)
    return app
