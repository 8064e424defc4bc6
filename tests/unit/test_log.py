"""The log's two looks, and what may not get through it."""

import asyncio
import io
import json
import logging

import pytest

from whep_server.log import LEVELS, about, begin, configure, shown_id


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_for_people_is_one_line_whatever_the_message():
    stream = io.StringIO()
    configure("INFO", as_json=False, stream=stream)
    logging.getLogger("whep_server.test").info("hello %s", "there\nERROR forged: line")
    logging.getLogger("whep_server.test").debug("not at this level")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "INFO" in lines[0] and "whep_server.test: hello there\\nERROR forged: line" in lines[0]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_is_kept(as_json):
    stream = io.StringIO()
    configure("INFO", as_json=as_json, stream=stream)
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("whep_server.test").exception("it failed")
    assert "ValueError: inside" in stream.getvalue() and "it failed" in stream.getvalue()


def test_json_has_an_object_a_line_with_what_was_given():
    stream = io.StringIO()
    configure("INFO", as_json=True, stream=stream)
    logging.getLogger("whep_server.test").warning("größer\n%d", 1, extra={"stream": "demo"})
    entry = json.loads(stream.getvalue())
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"level": "WARNING", "logger": "whep_server.test", "message": "größer\n1", "stream": "demo"}


async def test_lines_say_what_their_task_is_about_and_tasks_it_begins_too():
    stream, logger = io.StringIO(), logging.getLogger("whep_server.test")
    configure("INFO", as_json=True, stream=stream)

    async def work() -> None:
        logger.info("at work", extra={"utterance": "u"})

    with about(stream="demo"), about(session="5e55"):
        begun = asyncio.create_task(work())
    logger.info("by itself")
    await begun
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert not {"stream", "session", "utterance"} & first.keys()
    assert (second["stream"], second["session"], second["utterance"]) == ("demo", "5e55", "u")


def test_a_line_for_people_says_what_its_message_does_not():
    stream, logger = io.StringIO(), logging.getLogger("whep_server.test")
    configure("INFO", as_json=False, stream=stream)
    with about(stream="demo"):
        begin({"stream": "lobby", "session": "5e55"})
        logger.info("stream lobby: it rains")
    assert stream.getvalue().endswith("stream lobby: it rains (session 5e55)\n")


@pytest.mark.parametrize("level", LEVELS)
def test_libraries_that_write_addresses_stay_quiet_at_every_level(level):
    stream = io.StringIO()
    configure(level, as_json=False, stream=stream)
    logging.getLogger("aioice.ice").info("10.0.0.1")
    logging.getLogger("aiortc.rtcpeerconnection").debug("v=0")
    assert stream.getvalue() == ""


def test_a_session_id_is_shown_as_something_else():
    shown = shown_id("a-secret-capability")
    assert shown == shown_id("a-secret-capability") != shown_id("another")
    assert len(shown) == 8 and "secret" not in shown
