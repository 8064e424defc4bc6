"""The dashboard and the alert rules ask for what /metrics gives: metrics, labels, values. Alerts are documented."""

import json
import math
import re
from collections import defaultdict
from dataclasses import replace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy_files import DEPLOY, ROOT
from tests.promql import grouped, selectors
from tests.unit.test_scrape import SAYING, STREAM, WATCHING, Source, page_of
from whep_server.metrics.facts import Cause, IceFailure, UtteranceStats, WorkerFacts

DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
(GROUP,) = yaml.safe_load((DEPLOY / "alerts.yaml").read_text("utf-8"))["groups"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
QUERIES += [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"]}
PROMETHEUS = {"job", "instance"}
"""Labels that Prometheus adds to what it reads."""
KNOWN = {
    "state": {"connected", "failed"},  # of sessions; of utterances
    "kind": {"viewer", "publisher"},
    "reason": {reason.value for reason in IceFailure},
    "of": {"median", "worst"},
    "step": {"accepted", "started", "pictured"},
    "status": {"2xx", "4xx", "5xx"},
    "route": {"/readyz"},
    "job": {"$job", "whep-avatar"},
    "instance": {"$instance"},
}
"""Values that may be asked for."""


def given() -> dict[str, set[str]]:
    """Names of all samples with their labels, of a server on which everything has happened once."""
    shown = replace(WATCHING.media["video"], frame_width=640, frame_height=360, fraction_lost=0.1)
    source = Source(sessions=[replace(WATCHING, video=shown), SAYING], streams=[STREAM])
    source.worker = WorkerFacts(
        ready=True, frames=1, stage_s={"encode": 0.1}, slack={"viseme": [(0.0, 1), (math.inf, 2)]}
    )
    source.ledger.session_over(WATCHING)
    source.ledger.utterance_over("spoken", UtteranceStats("u", "finished", accepted_s=1, started_s=1, pictured_s=1))
    source.ledger.interruptions[Cause.ASKED] += 1
    source.ledger.silences["turn:relay.example:3478?transport=udp"] += 1
    source.ledger.poses["listening"] += 1
    found: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(page_of(source, {("/readyz", "2xx"): 1}).decode()):
        for sample in family.samples:
            found[sample.name] |= sample.labels.keys()
    return found


GIVEN = given()


@pytest.mark.parametrize("expression", sorted({*QUERIES, *(rule["expr"] for rule in ALERTS.values())}))
def test_every_metric_and_label_that_is_asked_for_is_given(expression: str):
    asked = selectors(expression)
    assert asked
    names = {each.metric for each in asked if each.metric not in {"up", *PROMETHEUS}}  # up is Prometheus's own
    assert names <= GIVEN.keys()
    labels = set().union(*(GIVEN[name] for name in names)) | PROMETHEUS
    assert grouped(expression) <= labels
    for each in asked:
        for label, operator, value in each.matchers:
            assert label in GIVEN.get(each.metric, set()) | PROMETHEUS, each
            values = value.split("|") if operator == "=~" else [value]
            assert set(values) <= KNOWN[label], each


def test_counters_are_asked_for_their_pace_and_gauges_for_what_they_are():
    for expression in (*QUERIES, *(rule["expr"] for rule in ALERTS.values())):
        for found in re.finditer(r"(\w+\()?(whep_avatar_\w+|process_\w+)", expression):
            paced = (found[1] or "") in ("rate(", "increase(")
            assert paced == found[2].endswith(("_total", "_bucket")), expression


def test_every_legend_names_labels_that_are_left():
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= grouped(target["expr"]), panel["title"]


def test_every_metric_of_ours_is_on_the_dashboard():
    shown = {each.metric for query in QUERIES for each in selectors(query)}
    told = {re.sub(r"_(sum|count)$", "_bucket", name) for name in GIVEN if name.startswith("whep_avatar_")}
    assert told <= shown


def test_panels_lie_side_by_side():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_it_is_and_what_to_do(name: str):
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert "$labels.instance" in rule["annotations"]["summary"] and rule["annotations"]["description"]
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    aggregated = "sum" in rule["expr"]
    left = grouped(rule["expr"]) if aggregated else PROMETHEUS
    assert named <= left
    assert f"`{name}`" in (ROOT / "docs/monitoring.md").read_text("utf-8")
