"""WebRTC sessions with the original signalling: offer and candidates as JSON."""

from litestar.types import ControllerRouterHandler

ROUTES: list[ControllerRouterHandler] = []
