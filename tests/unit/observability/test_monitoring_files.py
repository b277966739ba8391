"""The dashboard and the rules that come with the docs: they ask for metrics that there are."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backburner.model.catalogue import METRICS, Form
from backburner.observability.tally import OUTCOMES
from backburner.ports.telemetry import Signal

FOLDER = Path(__file__).parents[3] / "docs" / "monitoring"
FIELDS = {entry.name: entry.fields for entry in METRICS}
FORMS = {entry.name: entry.form for entry in METRICS}
#: Labels that Prometheus adds, and that a histogram has.
ADDED = {"job", "instance", "le"}
#: The values that a label of these names can have.
VALUES = {
    "outcome": OUTCOMES,
    "signal": tuple(Signal),
    "state": ("waiting", "scheduled", "retrying", "held", "running", "dead", "working", "draining"),
    "phase": ("closed", "open", "half_open", "closing"),
}
PAIRS = {"(": ")", "[": "]", "{": "}"}

#: A line of the rules: what it is by how far it is indented. It is a part of YAML that needs no parser.
LINES = (
    r"# .*|#",
    r"groups:",
    r"  - name: backburner",
    r"    rules:",
    r"      - (?P<alert>alert): (?P<name>Backburner[A-Z]\w+)",
    r"        (?P<field>expr|for): (?P<value>[a-z0-9][^#]*)",
    r"        (?:labels|annotations):",
    r"          (?P<word>severity|summary|description): (?P<text>page|ticket|\"[^\"]+\")",
)


@cache
def rules() -> dict[str, dict[str, str]]:
    """Return the fields of every rule, by its name."""
    found: list[dict[str, str]] = []
    for line in (FOLDER / "alerts.yaml").read_text("utf-8").splitlines():
        (matched,) = (match for match in (re.fullmatch(pattern, line) for pattern in LINES) if match)
        groups = matched.groupdict()
        if groups.get("alert"):
            found.append({"name": groups["name"]})
        elif "field" in groups:
            assert ": " not in groups["value"], "a plain value of YAML holds no colon and space"
            found[-1][groups["field"]] = groups["value"]
        elif "word" in groups:
            found[-1][groups["word"]] = groups["text"]
    assert len({rule["name"] for rule in found}) == len(found)
    return {rule.pop("name"): rule for rule in found}


@cache
def dashboard() -> Any:  # noqa: ANN401 - JSON
    """Return the dashboard."""
    return json.loads((FOLDER / "grafana.json").read_text("utf-8"))


def panels() -> dict[str, Any]:
    """Return the panels that show something, by their numbers and titles."""
    return {f"{panel['id']} {panel['title']}": panel for panel in dashboard()["panels"] if panel["type"] != "row"}


def expressions() -> dict[str, str]:
    """Return all that is asked of Prometheus, by where."""
    asked = {name: rule["expr"] for name, rule in rules().items()}
    for name, panel in panels().items():
        asked |= {f"{name} {target['refId']}": target["expr"] for target in panel["targets"]}
    return asked


def balanced(text: str) -> bool:
    """Tell whether brackets and quotes are closed in their order."""
    open_: list[str] = []
    for part in re.findall(r'"(?:[^"\\]|\\.)*"|.', text):
        if part in PAIRS:
            open_.append(PAIRS[part])
        elif part in PAIRS.values():
            if not open_ or open_.pop() != part:
                return False
        elif part == '"':
            return False
    return not open_


@pytest.mark.parametrize("text", ["a(b", "a)b", "(]", '{a="b}', "([)]"])
def test_what_is_not_balanced_is_found(text: str) -> None:
    """The test's own tool tells."""
    assert not balanced(text)


@pytest.mark.parametrize("where", expressions())
def test_every_expression_asks_for_metrics_that_there_are(where: str) -> None:
    """By their names, labels and values of labels, each as its form is to be asked for; brackets are closed."""
    asked = expressions()[where]
    assert balanced(asked)
    names = re.findall(r"\bbackburner_\w+", asked)
    assert names
    for name in names:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert base in FIELDS, f"there is no metric {base}"
        assert (FORMS[base] is Form.HISTOGRAM) is (base != name)
    for name, inside in re.findall(r"\b(backburner_\w+)\{([^}]*)\}", asked):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        for label, value in re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"([^"]*)"', inside):
            assert label in {*FIELDS[base], *ADDED}, f"{base} has no label {label}"
            if label in VALUES:
                for each in alternatives(value):
                    assert each in VALUES[label], f"{label} is never {each}"
    for labels in re.findall(r"\bby \(([^)]*)\)", asked):
        known = {field for name in names for field in FIELDS[re.sub(r"_(bucket|sum|count)$", "", name)]}
        assert {label.strip() for label in labels.split(",")} <= known | ADDED


def alternatives(pattern: str) -> list[str]:
    """Return what a pattern such as ``node[.](fenced|stalled)`` or ``retry|dead`` matches."""
    front, bracket, rest = pattern.replace("[.]", ".").partition("(")
    return [f"{front}{each}" for each in rest.removesuffix(")").split("|")] if bracket else front.split("|")


@pytest.mark.parametrize("where", expressions())
def test_counters_are_asked_for_their_growth_and_the_store_for_its_greatest(where: str) -> None:
    """A counter's value says nothing; and of what every process shows alike a sum would count it once a process."""
    asked = expressions()[where]
    for name in re.findall(r"\bbackburner_\w+", asked):
        if name.endswith(("_total", "_bucket")):
            assert re.search(rf"\b(rate|increase)\({name}\b", asked), name
    shared = [entry.name for entry in METRICS]
    for name in shared[shared.index("backburner_queue_jobs") :]:
        if name in asked:
            assert re.search(rf"\bmax(?: by \([^)]*\))? ?\({name}\b", asked), name


@pytest.mark.parametrize("name", rules())
def test_every_rule_says_what_it_is(name: str) -> None:
    """Whom it wakes, what has happened, and where to look."""
    rule = rules()[name]
    assert rule.keys() - {"for"} == {"expr", "severity", "summary", "description"}
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_the_how_to_leads_to_every_file() -> None:
    """The page about monitoring names every file that is here."""
    page = (FOLDER.parent / "how-to" / "monitor.md").read_text("utf-8")
    for file in FOLDER.iterdir():
        assert f"../monitoring/{file.name}" in page


@pytest.mark.parametrize("name", panels())
def test_every_panel_says_what_it_shows(name: str) -> None:
    """A title, a unit, a sentence, and a series with a name of its own."""
    panel = panels()[name]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert panel["type"] == "stat" or all(legends)
    assert len(set(legends)) == len(legends)


def test_the_dashboard_can_be_imported() -> None:
    """Nothing in it belongs to the Grafana it was made in, and panels are apart."""
    whole = dashboard()
    assert "__inputs" not in whole
    assert {variable["name"] for variable in whole["templating"]["list"]} == {"datasource", "job", "queue"}
    ids = [panel["id"] for panel in whole["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        at = panel["gridPos"]
        squares = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not squares & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= squares
    for panel in panels().values():
        sources = {json.dumps(each["datasource"], sort_keys=True) for each in (panel, *panel["targets"])}
        assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}


def test_every_metric_is_shown_somewhere() -> None:
    """What is worth a name is worth a place in the dashboard, or in a rule; a drain is asked for by people."""
    asked = " ".join(expressions().values())
    assert {name for name in FIELDS if name not in asked} == {"backburner_draining"}
