"""The dashboard, the alerts and the scaler that the pages offer: each asks for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
import pytest
import yaml

from pool import Cause
from taskq.metrics.pool import CONDITIONS
from taskq.task.measures import End
from tests.docs import metrics
from tests.docs.pages import DOCS, block

pytestmark = pytest.mark.django_db
FILES = DOCS / "how-to/files"
DASHBOARD, ALERTS, SCALER = (FILES / name for name in ("grafana.json", "alerts.yaml", "keda.yaml"))
#: What a Prometheus adds to each metric that it scrapes.
ADDED = {"instance", "job"}
#: What the values of some labels may be.
VALUES = {
    "state": set(CONDITIONS),
    "end": {end.name.lower() for end in End},
    "cause": {cause.name.lower() for cause in Cause} | {"exit_0"},
}


@pytest.fixture
def known() -> dict[str, set[str]]:
    """Each sample and its labels."""
    found = {"up": set(ADDED)}  # Prometheus' own
    for collector in (metrics.of_pool(), metrics.of_site()):
        for family in collector.collect():
            for sample in family.samples:
                found.setdefault(sample.name, set(ADDED)).update(sample.labels)
    return found


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def scaler() -> dict[str, Any]:
    return yaml.safe_load(SCALER.read_text())


def queries() -> list[str]:
    (trigger,) = scaler()["spec"]["triggers"]
    return [
        *(target["expr"] for panel in panels() for target in panel["targets"]),
        *(alert["expr"] for alert in alerts()),
        trigger["metadata"]["query"],
    ]


def parts(query: str) -> Iterator[Any]:
    """Each part of a query, from the outermost on."""
    text = query.replace("$__rate_interval", "5m")
    waiting = [promql_parser.parse(text)]
    while waiting:
        part = waiting.pop()
        yield part
        for name in ("lhs", "rhs", "expr", "vector_selector"):
            if (below := getattr(part, name, None)) is not None:
                waiting.append(below)
        waiting += getattr(part, "args", None) or []


def selectors(part: Any) -> list[promql_parser.VectorSelector]:
    return [each for each in parts(str(part)) if isinstance(each, promql_parser.VectorSelector)]


def wrong(query: str, known: Mapping[str, set[str]]) -> list[str]:
    """What the query asks for that there is not."""
    found = []
    for part in parts(query):
        if isinstance(part, promql_parser.VectorSelector):
            if part.name not in known:
                found.append(f"no metric {part.name}")
                continue
            for matcher in part.matchers.matchers:
                if matcher.name not in known[part.name]:
                    found.append(f"{part.name} has no label {matcher.name}")
                elif matcher.name in VALUES and not matcher.value.startswith("$"):
                    odd = set(matcher.value.split("|")) - VALUES[matcher.name]
                    found += [f"no {matcher.name} is {value}" for value in odd]
        elif isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            for selector in selectors(part.expr):
                odd = set(part.modifier.labels) - known.get(selector.name, set())
                found += [f"{selector.name} has no label {label}" for label in odd]
    return found


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_labels_and_values_that_there_are(query, known):
    assert wrong(query, known) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("taskq_wrong", "no metric taskq_wrong"),
        ("sum(rate(taskq_run_total[5m]))", "no metric taskq_run_total"),
        ('taskq_runs_total{ended="done"}', "taskq_runs_total has no label ended"),
        ('taskq_runs_total{end=~"done|lots"}', "no end is lots"),
        ("sum by (worker) (taskq_workers)", "taskq_workers has no label worker"),
        ("up or absent(taskq_nothing) > 5", "no metric taskq_nothing"),
    ],
)
def test_a_query_that_is_wrong_is_found(query, said, known):
    assert wrong(query, known) == [said]


def test_a_query_that_is_none_is_found(known):
    with pytest.raises(ValueError, match="unclosed"):
        wrong("sum by (taskq_workers", known)


def test_every_metric_is_on_the_dashboard_or_has_a_reason(known):
    asked = {each.name for query in queries() for each in selectors(query)}
    left = {name for name in known if name.removesuffix("_count") not in asked} - asked
    by_name = {"taskq_last_hour_run_seconds", "taskq_last_hour_wait_seconds"}  # a pool has better
    other = {"taskq_build_info", "taskq_workers_alive", "taskq_pools_alive"}
    assert {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in left} <= (
        by_name | other | {"taskq_run_seconds", "taskq_wait_seconds"}
    )


def test_the_panels_have_titles_of_their_own_and_do_not_overlap():
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    assert all(panel["description"] for panel in panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_the_variables_of_the_dashboard_are_those_that_its_queries_use():
    listed = json.loads(DASHBOARD.read_text())["templating"]["list"]
    used = set(re.findall(r'"\$(\w+)"', " ".join(queries()))) | {"datasource"}
    assert {each["name"] for each in listed} == used
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_is_well_formed(alert, known):
    assert alert.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Taskq[A-Z]\w+", alert["alert"])
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert alert["annotations"].keys() == {"summary", "description"}
    promql_parser.parse_duration(alert.get("for", "1s"))
    # A text may only name labels that the result of the query has.
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values())))
    top = promql_parser.parse(alert["expr"])
    inner = top.lhs if isinstance(top, promql_parser.BinaryExpr) else top
    if isinstance(inner, promql_parser.AggregateExpr):
        assert named <= set(inner.modifier.labels if inner.modifier else ())
    else:
        assert named <= set().union(*(known[each.name] for each in selectors(inner)))


def test_the_page_shows_the_alerts_that_it_offers():
    assert block("how-to/monitor.md", "yaml", "groups:") == ALERTS.read_text()


def test_the_scaler_is_on_its_page_and_scales_the_deployment_of_the_manifest():
    assert block("how-to/deploy-kubernetes.md", "yaml", "ScaledObject") == SCALER.read_text()
    manifest = yaml.safe_load_all((FILES / "kubernetes.yaml").read_text())
    (deployment,) = [each for each in manifest if each["kind"] == "Deployment"]
    spec = scaler()["spec"]
    assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert trigger["metadata"].keys() == {"serverAddress", "query", "threshold"}
    assert float(trigger["metadata"]["threshold"]) > 0
