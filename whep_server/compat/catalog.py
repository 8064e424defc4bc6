"""Avatars as the original server names them: list, video, prepare, delete, cache."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
