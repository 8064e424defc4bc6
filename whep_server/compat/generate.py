"""Speech without a session: a file to download, or chunks in one response."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
