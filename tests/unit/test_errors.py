"""The tree of errors: what its drawing says is what the classes are."""

import re

from whep_server import errors


def classes():
    found = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    return {name: value for name, value in found.items() if issubclass(value, errors.ServerError)}


def test_the_drawing_at_the_top_is_true():
    drawn = {name: int(status) for name, status in re.findall(r"^[ │├└─]*(\w+)\s+(\d{3})", errors.__doc__ or "", re.M)}
    assert drawn == {name: value.status for name, value in classes().items()}


def test_every_error_has_a_title_and_keeps_its_detail():
    for value in classes().values():
        error = value("what happened")
        assert error.title and error.detail == str(error) == "what happened"


def test_those_that_pass_say_when_to_come_back():
    for value in (errors.TooMany, errors.Unavailable, errors.WorkerLost):
        assert int(value("busy").headers["Retry-After"]) >= 1
    assert errors.Unavailable("busy", retry_after_s=7).headers == {"Retry-After": "7"}
