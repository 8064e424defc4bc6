"""What a browser may do with a page of ours: its headers. Every page gets them.

Scripts and styles come from our own files alone, so that nothing that is written into a page can run. The player is
shown in frames of other pages (``docs/devices.md``); who may do that is a setting.
"""

from typing import Final
from urllib.parse import urlsplit

from whep_server.settings import Settings
from whep_server.web.exchange import HeaderLines

SOURCES: Final = (
    "default-src 'self'",
    "media-src 'self' blob:",  # chunks are played through Media Source Extensions
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
)
"""Content Security Policy Level 3. Media over WebRTC is none of its business."""


def content_policy(settings: Settings) -> str:
    """The policy. Where all may frame a page nothing is said: ``*`` would leave out apps, whose pages have no http."""
    parents = settings.frame_ancestors
    framing = (
        [] if "*" in parents else [" ".join(["frame-ancestors", *(["'self'", *parents] if parents else ["'none'"])])]
    )
    return "; ".join([*SOURCES, *_connecting(settings), *framing])


def _connecting(settings: Settings) -> list[str]:
    """A session's Location has the public address, also for who opened the page under another one."""
    public = urlsplit(settings.public_url)
    return [f"connect-src 'self' {public.scheme}://{public.netloc}"] if public.netloc else []


def page_headers(settings: Settings) -> HeaderLines:
    """Of every page. A page's address may hold a token, and a session's id: no other server is told where one was."""
    return [
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", content_policy(settings)),
        ("Referrer-Policy", "no-referrer"),
    ]
