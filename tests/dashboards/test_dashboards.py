"""The dashboard and the alert rules ask only for what is really exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from recloser import CircuitBreaker, Kind, State, TimeWindow
from recloser import FailureRate as Rate
from recloser.listeners._figures import FIGURES
from recloser.listeners.prometheus import PrometheusListener

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "dashboards" / "grafana.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "dashboards" / "alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TARGETS = {"job", "instance"}
"""Labels that Prometheus itself adds to whatever it scrapes."""

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in BOARD["panels"] if panel["type"] != "row")


def on_the_board() -> list[str]:
    """Return every expression of the board, with Grafana's variables filled in."""
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    return [filled(expression) for expression in asked]


def filled(expression: str) -> str:
    text = expression.replace("$__rate_interval", "5m")
    return re.sub(r'"\$(job|instance|name)"', '".*"', text)


def parsed(expression: str) -> Iterator[Any]:
    """Return every node of an expression; a mistake in it raises."""
    pending = [promql_parser.parse(expression)]
    while pending:
        node = pending.pop()
        yield node
        for name in ("expr", "lhs", "rhs", "vector_selector"):
            child = getattr(node, name, None)
            if child is not None:
                pending.append(child)
        pending.extend(getattr(node, "args", None) or [])


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Return what an expression asks for: names, with the labels they are matched by."""
    for node in parsed(expression):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = [(one.name, one.value) for one in node.matchers.matchers]
            yield node.name, matchers


def grouped(expression: str) -> set[str]:
    """Return the labels that an expression aggregates by."""
    return {
        label
        for node in parsed(expression)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Return the samples that a breaker really has, with their labels."""
    registry = CollectorRegistry()
    listener = PrometheusListener(registry=registry)
    payments = CircuitBreaker(
        "payments",
        trip=Rate(1, window=TimeWindow(60)),
        registry="none",
        listeners=[listener],
    )
    payments.trip()
    return {
        sample.name: set(sample.labels)
        for family in registry.collect()
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def values() -> dict[str, set[str]]:
    """Return the values that labels can have, where those are known."""
    states = {state.value for state in State}
    return {
        "state": states,
        "before": states,
        "after": states,
        "outcome": {kind.value for kind in Kind},
    }


def check(expression: str, exported: dict[str, set[str]], values: dict[str, set[str]]):
    there: set[str] = set(TARGETS)
    for name, matchers in selectors(expression):
        assert name in exported, f"{name} is not exported"
        there |= exported[name]
        for label, value in matchers:
            assert label in exported[name] | TARGETS, f"{name} has no {label}"
            for one in value.split("|") if label in values else ():
                assert one in values[label], f"no {label} is {one}"
    assert grouped(expression) <= there


def test_an_invented_name_is_found_out(exported, values):
    for mistake in (
        "recloser_stat",
        'recloser_state{outcome="success"}',
        'recloser_state{state="opened"}',
        "sum by (window) (recloser_state)",
    ):
        with pytest.raises(AssertionError):
            check(mistake, exported, values)


def test_every_figure_is_exported(exported):
    assert set(exported) == {
        f"recloser_{one.full_name}" + "_total" * one.is_counter for one in FIGURES
    }


# -- the dashboard -------------------------------------------------------------------


@pytest.mark.parametrize("expression", on_the_board())
def test_board_asks_for_what_is_exported(expression, exported, values):
    check(expression, exported, values)


def test_board_shows_every_figure(exported):
    asked = {name for expression in on_the_board() for name, _ in selectors(expression)}

    assert asked == set(exported)


def test_legends_name_labels_that_the_expression_keeps():
    for panel in panels():
        for target in panel["targets"]:
            kept = grouped(filled(target["expr"]))
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))

            assert legend <= kept, panel["title"]


def test_variables_are_asked_of_what_is_exported(exported):
    asked = [one for one in BOARD["templating"]["list"] if one["type"] == "query"]
    found = [
        re.fullmatch(r"label_values\((\w+)(?:{(.*)})?, (\w+)\)", one["definition"])
        for one in asked
    ]

    for one in found:
        assert one is not None
        assert one[1] in exported
        assert one[3] in exported[one[1]] | TARGETS
    assert [one["name"] for one in asked] == ["job", "instance", "name"]


def test_board_can_be_imported():
    idents = [panel["id"] for panel in BOARD["panels"]]
    places = [panel["gridPos"] for panel in BOARD["panels"]]

    assert BOARD["uid"] == "recloser"
    assert len(set(idents)) == len(idents)
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= 24 for one in places)
    assert not any(
        one is not other
        and one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
        for one in places
        for other in places
    )


def test_panels_say_what_they_show():
    assert [one["title"] for one in panels() if not one["description"]] == []
    assert {one["datasource"]["uid"] for one in panels()} == {"${datasource}"}


# -- the alert rules -----------------------------------------------------------------


@each_rule
def test_rule_asks_for_what_is_exported(rule, exported, values):
    check(rule["expr"], exported, values)


@each_rule
def test_rule_says_what_is_wrong_and_what_to_do(rule):
    kept = grouped(rule["expr"])
    texts = rule["annotations"]
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(texts.values())))

    assert texts.keys() == {"summary", "description", "runbook"}
    assert len(texts["runbook"].split()) > 20
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert named <= kept


def test_every_rule_is_tried():
    tried = (Path(__file__).parent / "alerts_test.yml").read_text("utf-8")

    assert [rule["alert"] for rule in RULES if tried.count(rule["alert"]) < 2] == []


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: it is no wheel")
@pytest.mark.parametrize("command", ["check", "test"])
def test_promtool_agrees(command, tmp_path):
    for file in (
        ROOT / "dashboards" / "alerts.yml",
        Path(__file__).parent / "alerts_test.yml",
    ):
        shutil.copy(file, tmp_path)
    file = {"check": "alerts.yml", "test": "alerts_test.yml"}[command]

    run = subprocess.run(
        ["promtool", command, "rules", file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
