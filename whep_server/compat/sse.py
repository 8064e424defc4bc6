"""Sessions whose speech comes as chunk files, announced by server-sent events."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
