"""The API's description, as Markdown (docs/api.md) or as OpenAPI."""

import jinja2
import msgspec
from litestar import Litestar

from whep_server.app import create_app
from whep_server.live.registry import open_registry
from whep_server.settings import Settings
from whep_server.web.reference import shown_groups, shown_schemas


def described_app() -> Litestar:
    """The application, not started."""
    return create_app(Settings.model_validate({}), open_registry)


def as_openapi() -> str:
    """OpenAPI 3.1, JSON."""
    text: bytes = described_app().state["openapi"]
    return msgspec.json.format(text, indent=2).decode()


def as_markdown() -> str:
    """What docs/api.md holds."""
    settings = Settings.model_validate({})
    document = msgspec.json.decode(as_openapi().encode())
    environment = jinja2.Environment(  # Markdown, and nothing in it comes from a peer
        loader=jinja2.FileSystemLoader(settings.templates), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["code"] = lambda text: f"`{text}`"
    page = environment.get_template("reference.md").render(
        groups=shown_groups(document), schemas=shown_schemas(document)
    )
    return page.rstrip("\n") + "\n"
