"""The API's description (OpenAPI 3.1), made from the routes themselves: paths, methods, docstrings, declared types.

A docstring's first paragraph is the summary; its ``Errors:`` line names the statuses. Served as ``/openapi.json`` and
shown by the page ``/docs`` (``web/reference.py``); ``whep-avatar api`` writes docs/api.md from it.
"""

import http
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import pydantic
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from whep_server.web.describe import KEY, Operation
from whep_server.web.permissions import Reach, Rule, rule_of

VERSION: Final = "3.1.0"
PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
UNSHOWN: Final = frozenset({"OPTIONS", "HEAD"})
"""They say nothing that the other methods of a path do not."""
STATUS: Final = re.compile(r"\b([45]\d\d)\b")
BEARER: Final = "bearer"
SCHEME: Final = {"type": "http", "scheme": "bearer", "description": "asked for where tokens are set: docs/security.md"}
WHO: Final = "x-who-may"
DOOR: Final = (401, 403, 429)
"""What is answered before a route's handler is called (``web/auth.py``)."""
BODILESS: Final = (204, 304)
CLAUSE: Final = re.compile(r"\s*\[[IEX]-[A-Z]+-\d\d\]")
Schema = dict[str, object]


def build(routes: Iterable[BaseRoute], version: str) -> Schema:
    """The whole document."""
    components: Schema = {}
    paths: dict[str, Schema] = {}
    for path, method, handler, operation in described(routes):
        shown = _operation(path, handler, operation, rule_of(method, path), components)
        paths.setdefault(path, {})[method.lower()] = shown | {"operationId": operation_id(method, path)}
    return {
        "openapi": VERSION,
        "info": {"title": "whep-avatar", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": {BEARER: SCHEME}},
    }


def described(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, HTTPRouteHandler, Operation]]:
    """Every route that is described: path, method, handler, what it takes and gives."""
    for route in routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            operation = handler.opt.get(KEY)
            if isinstance(operation, Operation):
                for method in sorted(handler.http_methods - UNSHOWN):
                    yield _path(route), str(method), handler, operation


def _path(route: HTTPRoute) -> str:
    """``/streams/{stream}``: the parameters' types, which are the framework's, left out."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format) or "/"


def _operation(path: str, handler: HTTPRouteHandler, operation: Operation, rule: Rule, components: Schema) -> Schema:
    summary, text = summary_of(handler)
    shown: Schema = {
        "tags": [operation.tag],
        "summary": summary,
        "parameters": [*_path_parameters(path), *_query_parameters(operation)],
        "responses": _responses(handler, operation, _statuses(text, rule), components),
        "security": _security(rule),
        WHO: who_may(rule),
    }
    body = _body(operation, components)
    for message in operation.messages:
        _schema(message, components)
    about = {"description": operation.about} if operation.about else {}
    return shown | about | ({"requestBody": body} if body else {})


def operation_id(method: str, path: str) -> str:
    """``get_streams_stream``."""
    return "_".join([method.lower(), *re.findall(r"\w+", path)])


def summary_of(handler: HTTPRouteHandler) -> tuple[str, str]:
    """The first sentence or two of a handler's docstring, and all of it."""
    text = CLAUSE.sub("", handler.fn.__doc__ or "")
    first = text.split("\n\n", 1)[0].split("Errors:")[0]
    return " ".join(first.split()).removesuffix(".").replace("``", "`"), text


def _path_parameters(path: str) -> list[Schema]:
    names = re.findall(r"\{(\w+)\}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[Schema]:
    """The scalars of a route; pydantic's titles, which repeat the names, left out."""
    if operation.params is None:
        return []
    assert issubclass(operation.params, pydantic.BaseModel)
    schema = operation.params.model_json_schema()
    required = set(schema.get("required", []))
    found = []
    for name, details in schema.get("properties", {}).items():
        about = {key: value for key, value in details.items() if key not in {"title", "description"}}
        text = {"description": details["description"]} if "description" in details else {}
        found.append({"name": name, "in": "query", "required": name in required, "schema": about} | text)
    return found


def _body(operation: Operation, components: Schema) -> Schema:
    content: Schema = {}
    if operation.files:
        files = {
            name: {"type": "string", "format": "binary", "description": is_}
            for name, is_ in (operation.files | operation.further_files).items()
        }
        form = {"type": "object", "properties": files, "required": list(operation.files)}
        content["multipart/form-data"] = {"schema": form}
    for each in operation.body if isinstance(operation.body, tuple) else (operation.body,):
        content |= _content(each, components)
    return {"required": True, "content": content} if content else {}


def _content(what: type | str, components: Schema) -> Schema:
    if isinstance(what, str):
        return {what: {}}
    return {JSON: {"schema": _schema(what, components)}}


def _schema(what: type, components: Schema) -> Schema:
    """A reference to a type's schema, which is put among the components."""
    if isinstance(what, type) and issubclass(what, pydantic.BaseModel):
        schema = what.model_json_schema(ref_template="#/components/schemas/{model}")
        components.update(schema.pop("$defs", {}))
        components[what.__name__] = schema
        return {"$ref": f"#/components/schemas/{what.__name__}"}
    (reference,), found = msgspec.json.schema_components([what], ref_template="#/components/schemas/{name}")
    components.update(found)
    return reference


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    """What a token has to allow; none is needed where the address is the permission."""
    if rule.scope is None:
        return []
    needed = {BEARER: [str(rule.scope)]}
    return [{}, needed] if rule.capability else [needed]


def who_may(rule: Rule) -> str:
    """The same in words."""
    if rule.scope is None or rule.capability:
        return "who has the address" if rule.capability else "everybody"
    return f"{rule.scope}, for all streams" if rule.reach is Reach.ALL else str(rule.scope)


def _statuses(text: str, rule: Rule) -> list[int]:
    """Those that the docstring names, and what the door says."""
    return sorted({*statuses_of(text), *(DOOR if rule.scope is not None else ())})


def _responses(handler: HTTPRouteHandler, operation: Operation, statuses: list[int], components: Schema) -> Schema:
    """The success, and each status of an error."""
    success: Schema = {"description": http.HTTPStatus(handler.status_code).phrase}
    if operation.reply is not None:
        success["content"] = _content(operation.reply, components)
    if operation.headers:
        success["headers"] = {
            name: {"description": says, "schema": {"type": "string"}} for name, says in operation.headers.items()
        }
    responses: Schema = {str(handler.status_code): success}
    for status in operation.others:
        bare = status in BODILESS
        responses[str(status)] = {
            **({key: value for key, value in success.items() if key != "content"} if bare else success),
            "description": http.HTTPStatus(status).phrase,
        }
    for status, what in operation.other_replies.items():
        phrase = http.HTTPStatus(status).phrase
        responses[str(status)] = success | {"description": phrase, "content": _content(what, components)}
    for status in statuses:
        responses[str(status)] = {"description": http.HTTPStatus(status).phrase, "content": {error_type(handler): {}}}
    return responses


def statuses_of(text: str) -> list[int]:
    """The statuses that a docstring's ``Errors:`` names."""
    _, _, errors = text.partition("Errors:")
    return sorted({int(status) for status in STATUS.findall(errors)})


def error_type(handler: HTTPRouteHandler) -> str:
    """The original server's routes answer errors as plain JSON, ours as problem details."""
    return JSON if ".compat." in handler.fn.__module__ else PROBLEM
