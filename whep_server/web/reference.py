"""The API's description as JSON and as a page that needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, cast

import jinja2
import msgspec
from litestar import route
from litestar.response.base import ASGIResponse

from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import AVATARS, OPERATIONS, STANDARDS, STREAMS, Operation, describe
from whep_server.web.on_air import Config
from whep_server.web.openapi import WHO
from whep_server.web.pages import HTML
from whep_server.web.policy import page_headers
from whep_server.web.replies import READ, reply

Json = Mapping[str, object]

ORDER: Final = (STANDARDS, STREAMS, AVATARS, OPERATIONS)
"""Ours come first; then the original server's, by name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One route as a person reads it."""

    tag: str
    method: str
    path: str
    summary: str
    takes: list[str]
    gives: str
    who: str
    errors: list[str]
    about: list[str]
    """Paragraphs."""


def shown_groups(document: Json) -> dict[str, list[Shown]]:
    """All routes by tag: ours first, then the original server's, each group sorted by path."""
    found = []
    for path, operations in cast(Mapping[str, Mapping[str, Json]], document["paths"]).items():
        for method, operation in operations.items():
            found.append(_shown(path, method.upper(), operation))
    found.sort(key=lambda each: (_place(each.tag), each.path, each.method))
    return {tag: list(group) for tag, group in groupby(found, key=lambda each: each.tag)}


def _place(tag: str) -> tuple[int, str]:
    return (ORDER.index(tag) if tag in ORDER else len(ORDER)), tag


def _shown(path: str, method: str, operation: Json) -> Shown:
    responses = cast(Mapping[str, Json], operation["responses"])
    success = next(status for status in responses if status < "4")
    return Shown(
        tag=str(cast(Sequence[str], operation["tags"])[0]),
        method=method,
        path=path,
        summary=str(operation["summary"]),
        takes=_takes(operation),
        gives=f"{success} {_kind(responses[success])}".strip(),
        who=str(operation[WHO]),
        errors=[status for status in responses if status >= "4"],
        about=[part for part in str(operation.get("description", "")).split("\n\n") if part],
    )


def _takes(operation: Json) -> list[str]:
    """Parameters with their defaults, files, the body."""
    takes = []
    for parameter in cast(Sequence[Json], operation["parameters"]):
        if parameter["in"] == "query":
            schema = cast(Json, parameter["schema"])
            takes.append(str(parameter["name"]) + (f" = {_default(schema)}" if "default" in schema else ""))
    content = cast(Mapping[str, Json], cast(Json, operation.get("requestBody", {})).get("content", {}))
    for media_type, held in content.items():
        takes += (
            _files(cast(Json, held["schema"])) if media_type == "multipart/form-data" else [_named(media_type, held)]
        )
    return takes


def _files(form: Json) -> list[str]:
    needed = cast(Sequence[str], form["required"])
    return [f"file {name}" + ("" if name in needed else ", or none") for name in cast(Json, form["properties"])]


def _default(schema: Json) -> str:
    return _text(schema["default"])


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _kind(response: Json) -> str:
    content = cast(Mapping[str, Json], response.get("content", {}))
    return ", ".join(_named(media_type, held) for media_type, held in content.items())


def _named(media_type: str, held: Json) -> str:
    """The schema's name where it has one."""
    reference = str(cast(Json, held.get("schema", {})).get("$ref", ""))
    return reference.rpartition("/")[2] or media_type


@dataclass(frozen=True, slots=True)
class ShownField:
    """One member of a JSON object."""

    name: str
    type: str


def shown_schemas(document: Json) -> dict[str, list[ShownField]]:
    """The members of each JSON object."""
    schemas = cast(Mapping[str, Json], cast(Json, document["components"])["schemas"])
    return {
        name: [ShownField(field, _type(cast(Json, details))) for field, details in _properties(schema).items()]
        for name, schema in schemas.items()
        if _properties(schema)
    }


def _properties(schema: Json) -> Json:
    return cast(Json, schema.get("properties", {}))


def _items(details: Json) -> str:
    """Of what an array is; of a tuple, its members."""
    members = cast(Sequence[Json], details.get("prefixItems", [details.get("items", {})]))
    return " and ".join(_type(each) for each in members)


def _type(details: Json) -> str:
    if "$ref" in details:
        return str(details["$ref"]).rpartition("/")[2]
    if "anyOf" in details:
        return " or ".join(_type(each) for each in cast(Sequence[Json], details["anyOf"]))
    if "enum" in details:
        return " or ".join(_text(each) for each in cast(Sequence[object], details["enum"]))
    if details.get("type") == "array":
        return f"list of {_items(details)}"
    return str(details.get("type", "any"))


@route(
    "/openapi.json", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply="application/json"))
)
async def openapi(request: HttpRequest) -> ASGIResponse:
    """The API's description, OpenAPI 3.1."""
    return reply(request, request.app.state["openapi"], "application/json", headers=[("Cache-Control", "no-cache")])


@route("/docs", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=HTML)))
async def reference(request: HttpRequest, config: Config) -> ASGIResponse:
    """The same as a page."""
    return reply(request, request.app.state["reference"], HTML, headers=page_headers(config))


def reference_page(template: jinja2.Template, document: Json, base: str) -> bytes:
    """The page; made once, as the event loop would stand still for it, and it is always the same."""
    return template.render(groups=shown_groups(document), schemas=shown_schemas(document), base=base).encode()


ROUTES = [openapi, reference]
