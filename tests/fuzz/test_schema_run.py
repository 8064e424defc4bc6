"""The API does what its description says, whoever asks what: a short look, the same each time."""

import pytest

from tests.fuzz.schema_run import check

EXAMPLES = "3"
"""Of each route: half a minute in all. ``make schemathesis`` has no such limit."""


@pytest.mark.timeout(500)
def test_every_route_answers_as_its_description_says():
    status, said = check(("--phases", "fuzzing", "--generation-deterministic", "--max-examples", EXAMPLES), 400)
    assert status == 0, said
