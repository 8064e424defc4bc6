"""The pages that play what the original server makes."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
