"""The one table of names, and who goes by it."""

from __future__ import annotations

import pytest

from backburner.events.listening import settled_as
from backburner.model.catalogue import BUILT_IN, EVENTS, INSTRUMENTS, METRICS, SPANS
from backburner.model.event import patterns_of
from backburner.model.job import Ending, JobState, Settlement
from backburner.model.telling import tell
from backburner.observability.logs import LogListener
from backburner.ports.telemetry import Signal

#: What would make as many series as there are jobs.
UNBOUNDED = {"id", "job", "subject", "node", "args", "message"}


def test_names_are_told_once() -> None:
    """No two entries of a table have one name."""
    for table in (EVENTS, METRICS, SPANS, INSTRUMENTS):
        names = [entry.name for entry in table]
        assert len(names) == len(set(names))


def test_every_entry_says_what_it_tells() -> None:
    """A sentence without a full stop, that begins with a capital letter or a number."""
    for entry in (*EVENTS, *METRICS, *SPANS, *INSTRUMENTS):
        assert entry.says[0].isupper() or entry.says[0].isdigit(), entry.name
        assert not entry.says.endswith("."), entry.name


def test_metrics_are_bounded() -> None:
    """No label tells jobs apart."""
    for entry in (*METRICS, *INSTRUMENTS):
        assert not UNBOUNDED & {field.rpartition(".")[2] for field in entry.fields}, entry.name


def test_what_people_do_is_kept() -> None:
    """Events of operators are stored whether or not anybody asks, and only those."""
    assert {entry.name for entry in EVENTS if entry.kept} == {name for name in BUILT_IN if name.startswith("operator.")}


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.RUNNING])
@pytest.mark.parametrize("ending", [None, *Ending])
def test_every_way_a_job_ends_has_a_name(state: JobState, ending: Ending | None) -> None:
    """Each settlement is an event of the table."""
    assert settled_as(Settlement(id="a", token=1, state=state, ending=ending)) in BUILT_IN


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_has_its_line(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    """The log knows how loud each is."""
    caplog.set_level("DEBUG")
    LogListener()(signal, failures=1)
    assert signal.value in caplog.text


def test_an_event_is_made_by_the_table() -> None:
    """Fields that are None are left out; one that the table does not know is a mistake of ours."""
    event = tell("operator.queue.paused", "mail", by="ada", reason=None)
    assert (event.name, event.subject, event.data, event.kept) == (
        "operator.queue.paused",
        "mail",
        '{"by":"ada"}',
        True,
    )
    with pytest.raises(KeyError, match="colour"):
        tell("node.left", "a", colour="red")
    with pytest.raises(KeyError):
        tell("node.vanished", "a")


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("order", ("order", "*")),
        ("order.paid", ("order.paid", "order.*", "*")),
        ("a.b.c", ("a.b.c", "a.b.*", "a.*", "*")),
    ],
)
def test_a_name_knows_who_asks_for_it(name: str, patterns: tuple[str, ...]) -> None:
    """By itself, by each of its fronts, by all."""
    assert patterns_of(name) == patterns
