"""The API's description: valid, complete, and the same in the document as in the server."""

import json
from pathlib import Path

import pytest
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate

from whep_server.command.api import as_markdown, as_openapi, described_app
from whep_server.web.describe import KEY
from whep_server.web.openapi import UNSHOWN, statuses_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def openapi() -> dict:
    return json.loads(as_openapi())


def test_it_is_valid_openapi(openapi: dict):
    validate(openapi)


def test_every_route_is_described():
    left_out = [
        f"{method} {route.path}"
        for route in described_app().routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - UNSHOWN
        if KEY not in handler.opt
    ]
    assert left_out == []


def test_an_operation_says_what_it_takes_and_gives(openapi: dict):
    put = openapi["paths"]["/streams"]["post"]
    assert put["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/StreamRequest"}
    assert set(put["responses"]) >= {"201", "400", "401", "409", "429"}
    assert "application/problem+json" in put["responses"]["409"]["content"]
    assert openapi["components"]["schemas"]["StreamRequest"]["required"] == ["name"]
    offer = openapi["paths"]["/whep/{stream}"]["post"]
    assert set(offer["responses"]["201"]["headers"]) >= {"Location", "ETag", "Link"}
    assert [parameter["name"] for parameter in offer["parameters"]] == ["stream"]


def test_statuses_are_read_from_the_docstring():
    assert statuses_of("Something of 404.\n\nErrors: 400, 503; 404, also the second time.") == [400, 404, 503]
    assert statuses_of("Nothing can go wrong in 200 ways.") == []


def test_the_document_is_that_of_this_version():
    assert DOCUMENT.read_text("utf-8") == as_markdown(), "write it anew: whep-avatar api > docs/api.md"
