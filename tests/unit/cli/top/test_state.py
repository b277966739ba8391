"""How a live view changes, by keys and by what is read."""

from __future__ import annotations

import dataclasses

from backburner.cli.top.state import Act, Model, Panel, Verb, failed, press, rows_of, saw, selected
from backburner.model.job import JobState
from tests.unit.cli.top.examples import job, queue, seen

_SEEN = seen(queue("a"), queue("b"), queue("c"), running=(job(1), job(2)), failures=(job(3, JobState.DEAD),))


def _pressed(model: Model, *keys: str) -> tuple[Model, list[Act]]:
    acts: list[Act] = []
    for key in keys:
        model, act = press(model, key)
        if act is not None:
            acts.append(act)
    return model, acts


def _model() -> Model:
    return saw(Model(), _SEEN)


def test_moving() -> None:
    """Arrows, j and k move the selection of their panel, and stop at its ends; each panel keeps its own."""
    model, _ = _pressed(_model(), "j", "down", "down", "k")
    assert selected(model, Panel.QUEUES) == "b"
    model, _ = _pressed(model, "tab", "up", "j")
    assert (model.panel, selected(model, Panel.RUNNING)) == (Panel.RUNNING, "01jd2")
    model, _ = _pressed(model, "tab", "tab")
    assert (model.panel, selected(model, Panel.QUEUES)) == (Panel.QUEUES, "b")


def test_what_is_selected_stays_so() -> None:
    """Rows that come and go move nobody's selection to another, not even that of a row nobody chose; one that is gone does."""
    model = saw(_model(), seen(queue("0"), queue("a"), queue("b")))
    assert selected(model, Panel.QUEUES) == "a"
    assert selected(saw(model, seen(queue("0"))), Panel.QUEUES) == "0"
    assert selected(saw(model, seen()), Panel.QUEUES) is None


def test_the_order_of_queues() -> None:
    """Those that nobody serves come first, then those paused, then by name, whatever waits in them."""
    rows = seen(queue("a", waiting=9), queue("b", paused=True), queue("c", waiting=1, nodes=0), queue("d"))
    assert rows_of(rows, Panel.QUEUES) == ["c", "b", "a", "d"]


def test_pausing() -> None:
    """The key p asks, takes a reason, and pauses once that is entered; one that is paused is resumed."""
    model, acts = _pressed(_model(), "j", "p", *"IN", " ", "x", "backspace", *"C-7 ")
    assert (model.asking, acts) == (Act(Verb.PAUSE, "b", "IN C-7 "), [])
    model, acts = _pressed(model, "enter")
    assert (model.asking, acts) == (None, [Act(Verb.PAUSE, "b", "IN C-7")])
    paused = saw(Model(), seen(queue("a", paused=True)))
    assert _pressed(paused, "p", "enter")[1] == [Act(Verb.RESUME, "a")]


def test_cancelling() -> None:
    """The key c cancels the selected running job, once that was confirmed; the one asked about, whatever is read meanwhile."""
    model, _ = _pressed(_model(), "tab", "j", "c")
    model = saw(model, seen(queue("a"), running=(job(1),)))
    assert _pressed(model, "enter")[1] == [Act(Verb.CANCEL, "01jd2")]


def test_thinking_better_of_it() -> None:
    """Escape does nothing but say so; keys that mean something elsewhere are letters of the reason, or nothing."""
    model, acts = _pressed(_model(), "p", "q", "?", "tab", "up", "escape")
    assert (model.asking, model.said, model.ended, acts) == (None, "nothing was paused", False, [])


def test_nothing_to_act_on() -> None:
    """In another panel, or where there is no row, p and c say what they need."""
    for keys, words in ((("tab", "p"), "p pauses a queue"), (("c",), "c cancels a running job")):
        model, acts = _pressed(_model(), *keys)
        assert (model.asking, acts) == (None, [])
        assert model.said.startswith(words)
    assert _pressed(Model(), "p", "enter")[1] == []
    assert _pressed(saw(Model(), seen()), "j", "tab", "c", "enter")[1] == []


def test_freezing() -> None:
    """Frozen, what is shown stays as it is; space lets it go on."""
    model, _ = _pressed(_model(), " ")
    assert saw(model, seen()).seen is _SEEN
    model, _ = _pressed(model, " ")
    assert saw(model, seen()).seen != _SEEN


def test_help_and_the_end() -> None:
    """? shows help, any key takes it away and does nothing else; q ends, also from there."""
    model, _ = _pressed(_model(), "?")
    assert model.helping
    back, _ = _pressed(model, "p")
    assert (back.helping, back.asking) == (False, None)
    assert _pressed(model, "q")[0].ended
    assert _pressed(_model(), "q")[0].ended
    assert not _pressed(_model(), "x")[0].ended


def test_a_store_that_is_away() -> None:
    """What was read last stays while the store is away, and the next reading takes the word back."""
    away = failed(_model(), "cannot be read")
    assert (away.seen, away.away) == (_SEEN, "cannot be read")
    assert saw(away, _SEEN).away == ""
    assert saw(dataclasses.replace(away, frozen=True), _SEEN).away == ""
