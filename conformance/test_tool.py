"""The parts of the tool by themselves: reading SDP and links, recording, running, reporting, the command line."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from typer.testing import CliRunner

from conformance import TEXTS, __version__
from conformance.__main__ import app
from conformance.canned import Identity, fragment, make_offer, without_lines
from conformance.catalogue import ALL_CHECKS
from conformance.check import (
    Check,
    Outcome,
    Result,
    Severity,
    broken,
    check,
    inconclusive,
    lenient,
    noted,
    passed,
    warned,
)
from conformance.checks.created import random_bits
from conformance.client_offers import mediamtx_reader, obs_30, rfc_9725_example, safari
from conformance.description import Candidate, MalformedDescription, parse, parse_fragment
from conformance.exports import as_json, as_junit
from conformance.matrix import markdown_table, with_table
from conformance.mock.http import Application, Handler, Reply, Request
from conformance.mock.server import MockServer, Setup
from conformance.mock.serving import serving
from conformance.runner import Report, chosen, run_checks
from conformance.target import Options, Target, Unmet
from conformance.web_links import MalformedLink, is_ice_uri, parse_links
from conformance.wire import Wire

URL = "http://mock.test/live"
SECRET = "top-secret"
RUN = CliRunner()


def over(handler: Handler, token: str | None = None) -> Wire:
    """A wire that leads to a handler."""
    return Wire(token=token, transport=httpx.ASGITransport(Application(handler)))


def asking(result: Result | Exception, severity: Severity = Severity.MUST) -> Check:
    """A check that ends so."""

    @check("Z-01", on="both", severity=severity, text="test", clauses=("I-EP-03", "E-EP-04"))
    async def run(target: Target) -> Result:
        if isinstance(result, Exception):
            raise result
        return result

    return run


async def report_of(*checks: Check, strict: bool = False, max_s: float = 10) -> Report:
    """A run of some checks against the mock."""
    async with over(MockServer(Setup("whep")).handle, SECRET) as wire:
        return await run_checks(Target(Options("whep", URL, strict=strict), wire), checks, max_s=max_s)


# --- reading SDP and links


@pytest.mark.parametrize(
    "text",
    ["", "hello", "v=0\r\nnonsense\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio x RTP 0\r\n", "v=0\r\n\r\na=x\r\n"],
)
def test_what_is_no_description_is_malformed(text: str) -> None:
    with pytest.raises(MalformedDescription):
        parse(text)


@pytest.mark.parametrize("offer", [obs_30, mediamtx_reader, rfc_9725_example, safari], ids=lambda make: make.__name__)
def test_the_canned_offers_are_descriptions(offer: Callable[[], object]) -> None:
    made = offer()
    read = parse(made.text)  # type: ignore[attr-defined]  # an Offer; each maker has its own arguments
    assert read.bundle == [section.mid for section in read.sections]
    assert read.transport("fingerprint") and read.transport("ice-ufrag") and read.transport("ice-pwd")


def test_a_section_that_says_nothing_is_as_its_session_says() -> None:
    read = parse("v=0\r\na=recvonly\r\na=setup:active\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 96\r\na=sendonly\r\n")
    assert [section.direction for section in read.sections] == ["recvonly", "sendonly"]
    assert read.sections[0].inherited("setup") == "active"


def test_port_0_refuses_unless_it_means_bundled() -> None:
    read = parse("v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\na=bundle-only\r\n")
    assert [section.accepted for section in read.sections] == [False, True]


def test_a_candidate_without_its_type_is_none() -> None:
    assert Candidate.parse("1 1 udp 1 192.0.2.1 5") is None
    candidate = Candidate.parse("1 1 UDP 1 192.0.2.1 5 typ host")
    assert candidate is not None and (candidate.transport, candidate.kind) == ("udp", "host")


@pytest.mark.parametrize("in_section", [False, True])
def test_a_fragment_says_whose_it_is_at_either_level(in_section: bool) -> None:
    offer = make_offer("whep")
    read = parse_fragment(fragment(offer, in_section=in_section, end=True))
    assert read.transport("ice-ufrag") == offer.identity.ufrag
    assert [section.mid for section in read.sections] == ["0"] and len(read.candidates()) == 1


def test_a_restart_keeps_the_certificate() -> None:
    identity = Identity()
    restarted = identity.restarted()
    assert restarted.fingerprint == identity.fingerprint
    assert restarted.ufrag != identity.ufrag and restarted.password != identity.password


def test_lines_can_be_left_out() -> None:
    assert "a=candidate" not in without_lines(make_offer("whip").text, "a=candidate:")


@pytest.mark.parametrize(
    "value", ["stun:x", "<stun:x> rel=y", "<a b>; rel=x", "<x>; rel:y", '<x>; rel="y', "<x>,, <y>"]
)
def test_a_malformed_link_is_told(value: str) -> None:
    with pytest.raises(MalformedLink):
        parse_links(value)


def test_links_are_read_with_quotes_commas_and_bare_values() -> None:
    links = parse_links('<turn:a?transport=udp>; rel="ice-server"; credential="a,b;\\"c" , <x>;rel=next;flag')
    assert [link.target for link in links] == ["turn:a?transport=udp", "x"]
    assert links[0].get("credential") == 'a,b;"c' and links[0].rel == "ice-server" and links[0].ice
    assert links[1].rel == "next" and links[1].get("flag") == "" and links[1].get("none") is None


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("stun:a.example", True),
        ("stuns:a.example:5349", True),
        ("turn:192.0.2.1:3478?transport=udp", True),
        ("turns:[2001:db8::1]:443?transport=tcp", True),
        ("stun://a.example", False),
        ("stun:a.example?transport=udp", False),
        ("turn:user@a.example", False),
        ("turn:a.example/x", False),
        ("https://a.example", False),
    ],
)
def test_ice_uris_are_judged_by_their_grammar(uri: str, good: bool) -> None:
    assert is_ice_uri(uri) == good


@pytest.mark.parametrize(
    ("paths", "enough"),
    [
        ([f"/s/{number}" for number in range(1000, 1005)], False),
        ([f"/s/17612345678{number}0123" for number in range(5)], False),
        (["/s/0f8e", "/s/1c2d", "/s/2b3a", "/s/3d4c", "/s/4e5f"], False),
        ([f"/s/{char * 8}-{char * 4}-4{char * 3}-8{char * 3}-{char * 12}" for char in "a1b2c"], True),
        ([f"/s/{char * 22}/end" for char in "aZx9Q"], True),
    ],
)
def test_the_bits_of_session_names_are_estimated(paths: list[str], enough: bool) -> None:
    assert (random_bits(paths) >= 64) == enough


# --- recording and sending


async def test_no_secret_gets_into_the_record() -> None:
    async def echo(request: Request) -> Reply:
        told = request.header("authorization") or ""
        headers = (("X-Echo", told), ("Link", '<turn:a>; rel="ice-server"; username="u"; credential="hidden"'))
        return Reply(200, headers, request.body)

    async with over(echo, SECRET) as wire:
        await wire.request("POST", f"{URL}?token=hidden", content=f"a=ice-pwd:hidden\r\n{SECRET}")
        record = str(wire.recorder.take())
    assert SECRET not in record and "hidden" not in record
    assert "***" in record


async def test_long_bodies_are_cut_in_the_record() -> None:
    async with over(MockServer(Setup("whep")).handle) as wire:
        await wire.request("POST", URL, content="x" * 5000)
        assert wire.recorder.exchanges[0].request_body.endswith("… (5000 bytes)")


async def test_a_busy_server_is_asked_again_when_it_said() -> None:
    replies = [Reply(503, (("Retry-After", "0"),)), Reply(429, (("Retry-After", "0"),)), Reply(200)]

    async def busy(request: Request) -> Reply:
        return replies.pop(0)

    async with over(busy) as wire:
        assert (await wire.request("GET", URL)).status_code == 200


@pytest.mark.parametrize("value", [None, "3600", "Wed, 25 Nov 2026 10:00:00 GMT"])
async def test_a_server_that_says_no_time_or_a_long_one_is_not_waited_for(value: str | None) -> None:
    asked = []

    async def busy(request: Request) -> Reply:
        asked.append(request)
        return Reply(503, (("Retry-After", value),) if value else ())

    async with over(busy) as wire:
        assert (await wire.request("GET", URL)).status_code == 503
    assert len(asked) == 1


async def test_sessions_are_deleted_also_where_a_check_fails() -> None:
    server = MockServer(Setup("whip"))
    async with over(server.handle) as wire:
        target = Target(Options("whip", URL), wire)
        with pytest.raises(RuntimeError):
            async with target.session():
                assert len(server.sessions) == 1
                raise RuntimeError
        async with target.posted(target.offer().text) as reply:
            assert reply.status_code == 201 and len(server.sessions) == 1
    assert not server.sessions


# --- grading and running


@pytest.mark.parametrize(
    ("result", "severity", "normal", "strict"),
    [
        (passed(""), Severity.MUST, Outcome.PASS, Outcome.PASS),
        (broken(""), Severity.MUST, Outcome.FAIL, Outcome.FAIL),
        (broken(""), Severity.SHOULD, Outcome.WARN, Outcome.FAIL),
        (broken(""), Severity.COMPAT, Outcome.WARN, Outcome.FAIL),
        (broken(""), Severity.INFO, Outcome.INFO, Outcome.INFO),
        (broken("", Severity.MUST), Severity.INFO, Outcome.FAIL, Outcome.FAIL),
        (warned(""), Severity.MUST, Outcome.WARN, Outcome.FAIL),
        (noted(""), Severity.MUST, Outcome.INFO, Outcome.INFO),
        (inconclusive(""), Severity.MUST, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
    ],
)
def test_results_are_graded_by_severity_and_mode(
    result: Result, severity: Severity, normal: Outcome, strict: Outcome
) -> None:
    asked = asking(result, severity)
    assert asked.grade(result, strict=False) is normal
    assert asked.grade(result, strict=True) is strict


@pytest.mark.parametrize(("strict", "outcome"), [(False, Outcome.INFO), (True, Outcome.FAIL)])
async def test_lenience_is_a_remark_and_in_strict_mode_broken(strict: bool, outcome: Outcome) -> None:
    @check("Z-02", on="both", severity=Severity.MUST, text="test")
    async def tolerant(target: Target) -> Result:
        return lenient("204", target)

    assert (await report_of(tolerant, strict=strict)).findings[0].outcome is outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unmet("not offered"), Outcome.SKIP),
        (httpx.ConnectError("refused"), Outcome.INCONCLUSIVE),
        (OSError("no route"), Outcome.INCONCLUSIVE),
        (ZeroDivisionError("a mistake of the tool"), Outcome.INCONCLUSIVE),
    ],
)
async def test_a_check_that_cannot_be_done_ends_only_itself(error: Exception, outcome: Outcome) -> None:
    report = await report_of(asking(error), asking(passed("fine")))
    assert [finding.outcome for finding in report.findings] == [outcome, Outcome.PASS]
    assert str(error) in report.findings[0].observed


async def test_the_limit_leaves_checks_over_as_inconclusive() -> None:
    report = await report_of(asking(passed("")), max_s=-1)
    assert report.findings[0].outcome is Outcome.INCONCLUSIVE


async def test_a_clause_is_as_good_as_its_worst_check() -> None:
    report = await report_of(asking(passed("")), asking(broken("")), asking(noted("")))
    assert report.clauses() == {"E-EP-04": Outcome.FAIL}


def test_checks_are_chosen_by_protocol_group_and_id() -> None:
    assert {entry.id for entry in chosen(ALL_CHECKS, "whep", ["t-05", "S"], live=False)} == {
        "T-05",
        "S-01",
        "S-02",
        "S-03",
        "S-04",
        "S-05",
        "S-06",
    }
    assert not any(entry.live for entry in chosen(ALL_CHECKS, "whip", [], live=False))
    assert not any("whep" not in entry.protocols for entry in chosen(ALL_CHECKS, "whep", [], live=True))


# --- reports and the command line


async def test_reports_for_machines_hold_what_was_seen() -> None:
    report = await report_of(asking(broken("it \x00 broke")), asking(Unmet("no <need>")))
    document = json.loads(as_json(report))
    assert document["tool"]["version"] == __version__ and document["texts"] == TEXTS
    assert [entry["outcome"] for entry in document["checks"]] == ["FAIL", "SKIP"]
    suite = ElementTree.fromstring(as_junit(report))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")


def test_the_list_names_every_check_over_http() -> None:
    result = RUN.invoke(app, ["whip", "--list", "--no-live"])
    assert result.exit_code == 0
    assert all(entry.id in result.stdout for entry in chosen(ALL_CHECKS, "whip", [], live=False))


@pytest.mark.parametrize(
    "arguments",
    [
        ["whep"],
        ["whep", "ftp://x"],
        ["whip", URL, "--profile", "whep-04"],
        ["whep", URL, "--profile", "rfc9725"],
        ["player", "--script", "none"],
    ],
)
def test_what_cannot_be_run_is_refused(arguments: list[str]) -> None:
    assert RUN.invoke(app, arguments).exit_code == 2


async def in_thread(*arguments: str) -> tuple[int, str]:
    """A command, beside the mock in this loop."""
    result = await asyncio.to_thread(RUN.invoke, app, list(arguments))
    return result.exit_code, result.output


async def test_the_command_prints_both_tables_and_writes_both_files(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit")}
    async with serving(MockServer(Setup("whip", token=SECRET)).handle) as base:
        written = [f"--{kind}={file}" for kind, file in files.items()]
        status, output = await in_thread(
            "whip", f"{base}/live", "--token", SECRET, "--only", "P,T", "--no-live", *written
        )
    assert status == 0
    for text in (TEXTS, "server: mock", "Checks", "Clauses", "P-01", "I-EP-03", "204: lenient"):
        assert text in output
    everything = output + "".join(file.read_text("utf-8") for file in files.values())
    assert SECRET not in everything
    assert json.loads(files["json"].read_text("utf-8"))["totals"]["FAIL"] == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 0),
        (["--strict"], 1),
        (["--fail-on", "warn"], 0),
        (["--only", "B-04"], 0),
        (["--max-seconds", "1", "--pause", "1.1"], 2),
    ],
)
async def test_the_exit_code_says_how_it_went(arguments: list[str], status: int) -> None:
    async with serving(MockServer(Setup("whep")).handle) as base:
        assert (await in_thread("whep", f"{base}/live", "--only", "T-05", "--no-live", *arguments))[0] == status


async def test_a_server_that_is_not_there_is_no_success() -> None:
    status, output = await in_thread("whep", "http://127.0.0.1:1/live", "--only", "P-01", "--no-live")
    assert status == 2 and "nobody answers" in output


async def test_the_old_draft_is_judged_by_its_own_text() -> None:
    async def old(request: Request) -> Reply:
        return Reply(405) if request.method in ("GET", "HEAD") else await MockServer(Setup("whep")).handle(request)

    async with serving(old) as base:
        newest, _ = await in_thread("whep", f"{base}/live", "--only", "D-01", "--no-live")
        murillo, _ = await in_thread("whep", f"{base}/live", "--only", "D-01", "--no-live", "--profile", "murillo-01")
    assert (newest, murillo) == (1, 0)


def test_the_documentation_lists_the_checks_as_they_are() -> None:
    document = (Path(__file__).parents[1] / "docs" / "conformance-tool.md").read_text("utf-8")
    assert with_table(document, markdown_table(ALL_CHECKS)) == document, (
        "run: python -m conformance table --into docs/conformance-tool.md"
    )
