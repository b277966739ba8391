"""A live view as it is drawn."""

from __future__ import annotations

import dataclasses
import io
import time

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from backburner.cli.top.draw import draw
from backburner.cli.top.state import Act, Model, Panel, Verb, failed, press, saw, told
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.observability.overview import Letters, Part
from tests.unit.cli.top.examples import NOW, job, queue, seen


def _drawn(model: Model, width: int = 120, height: int = 30) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height, color_system=None).print(draw(model, width, height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _model() -> Model:
    failures = (
        job(4, JobState.DEAD, error="Declined", message="no\tmoney", ended_at=NOW - SECOND, attempt=3, failures=3),
        job(5, JobState.PENDING, error="ReadTimeout", failures=1),
    )
    running = (job(1, done=3, total=12), job(2, done=7, cancel=True), job(3, started_at=NOW + SECOND))
    return saw(Model(), seen(queue("billing", running=3, waiting=7), queue("mail"), running=running, failures=failures))


def test_all_of_it() -> None:
    """Head, queues, what runs and how far it has come, what failed, the newest first, and the keys."""
    assert _drawn(_model(), height=18) == [
        "sqlite:///shop.db · schema 5 · store time 15:06:40 UTC",
        "nodes: 1 working (web-1)",
        "7 waiting · 3 running",
        "▶ queues (2)",
        "QUEUE    WAITING  RUNNING  RETRYING  SCHEDULED  HELD  OLDEST  DONE/MIN  STATE",
        "billing        7      3/4         0          0     0                 0  active",
        "mail           0      0/4         0          0     0                 0  active",
        "  running (3)",
        "JOB    KIND    QUEUE    NODE       TRY  FOR  PROGRESS",
        "01jd1  charge  billing  web-1-1-a    1   1m  [###---------] 3/12",
        "01jd2  charge  billing  web-1-1-a    1   1m  7 asked to stop",
        "01jd3  charge  billing  web-1-1-a    1   0s",
        "  failures (2)",
        "JOB    STATE     RAN     KIND    QUEUE    TRY  ERROR",
        "01jd4  dead      1s ago  charge  billing    3  Declined: no\\tmoney",
        "01jd5  retrying  1m ago  charge  billing    1  ReadTimeout",
        "",
        "q quit · tab panel · ↑↓ select · p pause · c cancel · space freeze · ? help",
    ]


def test_very_many_queues() -> None:
    """A view of ten thousand queues is drawn at once: what it costs grows with them, not with their square."""
    model = saw(Model(), seen(*(queue(f"queue {number}", waiting=1, nodes=0) for number in range(10_000))))
    began = time.process_time()
    assert "of 10,000)" in " ".join(_drawn(model))
    assert time.process_time() - began < 10


def test_what_could_not_be_read() -> None:
    """What is not known is no number, and no reason to think that all is well."""
    one = seen(queue("mail"))
    unread = {Part.NODES: "it took too long", Part.QUEUES: "so did this"}
    overview = msgspec.structs.replace(one.overview, nodes=(), unread=unread)
    assert _drawn(saw(Model(), dataclasses.replace(one, overview=overview)))[1:6] == [
        "nodes: ?",
        "2 findings (backburner status) · ?",
        "▶ queues (1)",
        "QUEUE  WAITING  RUNNING  RETRYING  SCHEDULED  HELD  OLDEST  DONE/MIN  STATE",
        "mail         ?      ?/?         ?          ?     ?                 0  active",
    ]


def test_what_has_no_room_is_told() -> None:
    """Rows and columns that are left out are named."""
    many = saw(Model(), seen(*(queue(f"queue-{number:02}") for number in range(30)), running=(job(1), job(2))))
    lines = _drawn(many, width=50, height=24)
    assert "▶ queues (11 of 30, no room for RETRYING, SCHEDUL…" in lines
    assert len(lines) == 24


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("height", [8, 12, 24, 50])
@pytest.mark.parametrize("panel", [*Panel])
def test_it_fits(width: int, height: int, panel: Panel) -> None:
    """Whatever the size, it fills the screen to the line and no line is too long; the foot is the last."""
    many = dataclasses.replace(_model(), panel=panel, said="x" * 300)
    for model in (many, saw(many, seen()), dataclasses.replace(many, helping=True)):
        lines = _drawn(model, width, height)
        assert len(lines) == height
        assert max(map(cell_len, lines)) <= width
        assert lines[-1].startswith("xxx")


def test_a_low_terminal_shows_one_panel() -> None:
    """Where there is no room for all, the one that is worked in is shown, and tab brings the next."""
    assert not any("running (" in line for line in _drawn(_model(), height=10))
    assert any("▶ running (3)" in line for line in _drawn(press(_model(), "tab")[0], height=10))


def test_too_small() -> None:
    """Where nothing can be made out, that is said."""
    assert " ".join(_drawn(_model(), 30, 5)) == "30x5 is too small; backburner status tells it all. q quits"


def test_the_selected_row_is_in_sight() -> None:
    """However far down it is, the selected row is among those that have room."""
    model = saw(Model(), seen(*(queue(f"queue-{number:02}") for number in range(30))))
    for _ in range(25):
        model, _ = press(model, "j")
    assert any(line.startswith("queue-25 ") for line in _drawn(model, height=20))
    assert not any(line.startswith("queue-00 ") for line in _drawn(model, height=20))


def test_the_foot() -> None:
    """It asks, says what was done, and why the store is not read; what is typed cannot talk to the terminal."""
    asking = dataclasses.replace(_model(), asking=Act(Verb.PAUSE, "mail", "\x1b[2J"))
    assert _drawn(asking)[-1] == "pause queue mail on all nodes? reason: \\x1b[2J_ (Enter yes, Esc no)"
    assert _drawn(told(_model(), "queue mail is paused"))[-1] == "queue mail is paused"
    assert _drawn(failed(_model(), "cannot be read"))[-1] == "cannot be read"


def test_the_head() -> None:
    """It says that it is frozen, that something wants a person, and, before the first reading, that it reads."""
    assert _drawn(press(_model(), " ")[0])[0].startswith("FROZEN · sqlite:///shop.db")
    found = _model().seen
    assert found is not None
    letters = Letters(total=5, recent=5, causes=(), more=False)
    overview = type(found.overview)(address="x", now=NOW, offset=0, letters=letters)
    model = saw(Model(), dataclasses.replace(found, overview=overview))
    assert _drawn(model)[2] == "1 finding (backburner status) · 5 dead in 24 h"
    assert _drawn(Model())[0] == "reading …"
