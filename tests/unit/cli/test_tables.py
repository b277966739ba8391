"""Tables on a terminal: what is coloured, and what a narrow one does without."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from backburner.cli.tables import View, facts, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_RED, _CYAN = "\x1b[31m", "\x1b[36m"
_ID = "01jd0000000000000000000001"


def _view(*titles: str, spare: tuple[int, ...] = (), numbers: tuple[int, ...] = ()) -> View[tuple[str, ...]]:
    return View(
        titles=titles,
        cells=lambda row: row,
        fields=lambda row: row,
        value=lambda row: row,
        spare=spare,
        numbers=numbers,
    )


def _drawn(what: RenderableType, width: int = 80, *, colour: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system="standard" if colour else None, force_terminal=colour).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_only_states_are_coloured() -> None:
    """A queue that is called "running", and one called "dead", look like any other; their states have colours."""
    view = _view("QUEUE", "STATE")
    drawn = _drawn(table(view, [("running", "paused"), ("dead", "unserved")], 80), colour=True)
    assert _CYAN not in drawn
    assert drawn.count(_RED) == 1
    told = _drawn(facts([("queue", "dead"), ("state", "dead")]), colour=True)
    assert told.count(_RED) == 1


@pytest.mark.parametrize(
    ("width", "drawn"),
    [
        (60, f"ID                          KIND    TRY  ERROR\n{_ID}  charge  3    POST /v1/charges"),
        (50, f"ID                          KIND    ERROR\n{_ID}  charge  POST /v1/char…"),
        (33, f"ID     {_ID}\nKIND   charge\nTRY    3\nERROR  POST /v1/charges"),
        (20, f"ID     {_ID[:13]}\n       {_ID[13:]}\nKIND   charge\nTRY    3\nERROR  POST\n       /v1/charges"),
    ],
)
def test_a_narrow_terminal(width: int, drawn: str) -> None:
    """First spare columns go, then the last is cut; where even that leaves no room, nothing is, each cell in a line."""
    view = _view("ID", "KIND", "TRY", "ERROR", spare=(2,))
    assert _drawn(table(view, [(_ID, "charge", "3", "POST /v1/charges")], width), width) == drawn


def test_rows_below_each_other_stand_apart() -> None:
    """An empty line stands between two rows that are told cell by cell, and none for a cell that is empty."""
    view = _view("ID", "TEXT")
    drawn = _drawn(table(view, [(_ID, "one thing"), (_ID, "")], 33), 33)
    assert drawn == f"ID    {_ID}\nTEXT  one thing\n\nID    {_ID}"


def test_numbers_end_below_each_other() -> None:
    """Columns of numbers are aligned to the right, also when one before them was left out."""
    view = _view("QUEUE", "SPARE", "WAITING", "STATE", spare=(1,), numbers=(2,))
    rows = [("mail", "x" * 40, "3,102", "paused"), ("default", "x", "7", "active")]
    assert _drawn(table(view, rows, 40), 40) == (
        "QUEUE    WAITING  STATE\nmail       3,102  paused\ndefault        7  active"
    )
