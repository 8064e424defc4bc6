"""What the server says of itself: health, statistics, capabilities."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
