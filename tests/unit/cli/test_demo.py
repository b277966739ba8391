"""`backburner demo`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from backburner.cli import demo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Run

_PROGRAM = """
def main(arguments):
    print(__name__, *arguments)
    return 3
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return where the demo is looked for, both empty."""
    found = (tmp_path / "wheel", tmp_path / "checkout")
    for place in found:
        place.mkdir()
    monkeypatch.setattr(demo, "_PLACES", found)
    monkeypatch.delitem(sys.modules, "stdlib_census", raising=False)
    return found


@pytest.mark.parametrize("place", [0, 1])
def test_runs_the_example(place: int, places: tuple[Path, Path], run: Run) -> None:
    """The demo is the example's own `main`, found in a wheel or a checkout; arguments and exit code are passed on."""
    (places[place] / "stdlib_census.py").write_text(_PROGRAM)
    answer = run("demo", "--limit", "5", "--help")
    assert (answer.code, answer.out) == (3, "stdlib_census --limit 5 --help\n")


def test_not_there(places: tuple[Path, Path], run: Run) -> None:
    """An installation without the example says so."""
    answer = run("demo")
    assert answer.code == 1
    assert answer.err == f"Error: this installation lacks the demo, {places[0]}/stdlib_census.py\n"
