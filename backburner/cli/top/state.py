"""What a live view shows, and how it changes: by keys, by what was read. Pure: no terminal, no store."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from backburner.cli.top.keys import BACKSPACE, DOWN, ENTER, ESCAPE, TAB, UP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.model.job import JobRecord
    from backburner.observability.overview import Overview, QueueSeen

__all__ = [
    "Act",
    "Model",
    "Panel",
    "Seen",
    "Verb",
    "failed",
    "press",
    "queues_of",
    "rows_of",
    "saw",
    "selected",
    "told",
]


class Panel(StrEnum):
    """The tables, in their order."""

    QUEUES = "queues"
    RUNNING = "running"
    FAILURES = "failures"


class Verb(StrEnum):
    """What can be done from here."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read at one moment."""

    overview: Overview
    #: Jobs that run, those that have run longest first; how many there are in all.
    running: Sequence[JobRecord] = ()
    running_total: int = 0
    #: Jobs that failed, and are retried or dead, the last failure first; how many there are in all.
    failures: Sequence[JobRecord] = ()
    failures_total: int = 0
    #: Why the failures could not be read; empty otherwise.
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """What a person asked for, and why: of a queue by its name, of a job by its id."""

    verb: Verb
    target: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """All that is shown."""

    #: None: nothing was read yet.
    seen: Seen | None = None
    panel: Panel = Panel.QUEUES
    #: What is selected, by panel; the first row where that is gone.
    chosen: Mapping[Panel, str] = field(default_factory=dict[Panel, str])
    #: What is shown stays as it is.
    frozen: bool = False
    helping: bool = False
    #: What a person is asked, and the reason as far as it was typed.
    asking: Act | None = None
    #: What was done last, or cannot be.
    said: str = ""
    #: Why the store cannot be read, and when that is tried again; empty while it can.
    away: str = ""
    ended: bool = False


def rows_of(seen: Seen | None, panel: Panel) -> Sequence[str]:
    """Return the names or ids of a panel's rows, in their order."""
    if seen is None:
        return ()
    match panel:
        case Panel.QUEUES:
            return [queue.name for queue in queues_of(seen)]
        case Panel.RUNNING:
            return [job.id for job in seen.running]
        case Panel.FAILURES:
            return [job.id for job in seen.failures]


def queues_of(seen: Seen) -> Sequence[QueueSeen]:
    """Return the queues by name, those that nobody serves and those paused first: an order that is no surprise to a hand."""
    overview = seen.overview
    return sorted(
        overview.queues, key=lambda queue: (not overview.unserved(queue), not queue.record.paused, queue.name)
    )


def saw(model: Model, seen: Seen) -> Model:
    """Show what was read, unless the view is frozen; what was selected stays so, wherever it stands now."""
    if model.frozen:
        return replace(model, away="")
    chosen = {panel: row for panel in Panel if (row := selected(model, panel)) is not None}
    return replace(model, away="", seen=seen, chosen=chosen)


def failed(model: Model, why: str) -> Model:
    """Say that the store cannot be read; what was read last stays."""
    return replace(model, away=why)


def told(model: Model, text: str) -> Model:
    """Say something, until the next key."""
    return replace(model, said=text)


def press(model: Model, key: str) -> tuple[Model, Act | None]:
    """Return the view after a key, and what a person has now asked for, and meant."""
    if model.asking is not None:
        return _answer(model, model.asking, key)
    model = replace(model, said="")
    if model.helping:
        return replace(model, helping=False, ended=key == "q"), None
    return _command(model, key), None


def selected(model: Model, panel: Panel) -> str | None:
    """Return the name or id of the selected row of a panel; None where it is empty."""
    rows = rows_of(model.seen, panel)
    chosen = model.chosen.get(panel)
    return chosen if chosen in rows else next(iter(rows), None)


def _command(model: Model, key: str) -> Model:
    known = _COMMANDS.get(key)
    return model if known is None else known(model)


def _next_panel(model: Model) -> Model:
    panels = [*Panel]
    return replace(model, panel=panels[(panels.index(model.panel) + 1) % len(panels)])


def _moved(model: Model, by: int) -> Model:
    rows, now = rows_of(model.seen, model.panel), selected(model, model.panel)
    if now is None:
        return model
    at = min(max(rows.index(now) + by, 0), len(rows) - 1)
    return replace(model, chosen={**model.chosen, model.panel: rows[at]})


def _ask_of_queue(model: Model) -> Model:
    name = selected(model, Panel.QUEUES)
    if model.panel is not Panel.QUEUES or name is None or model.seen is None:
        return replace(model, said="p pauses a queue: select one (tab, ↑↓)")
    paused = any(queue.name == name and queue.record.paused for queue in model.seen.overview.queues)
    return replace(model, asking=Act(Verb.RESUME if paused else Verb.PAUSE, name))


def _ask_of_job(model: Model) -> Model:
    job_id = selected(model, Panel.RUNNING)
    if model.panel is not Panel.RUNNING or job_id is None:
        return replace(model, said="c cancels a running job: select one (tab, ↑↓)")
    return replace(model, asking=Act(Verb.CANCEL, job_id))


def _answer(model: Model, asked: Act, key: str) -> tuple[Model, Act | None]:
    if key == ENTER:
        return replace(model, asking=None, said="…"), replace(asked, reason=asked.reason.strip())
    if key == ESCAPE:
        return replace(model, asking=None, said=f"nothing was {_DONE[asked.verb]}"), None
    if key == BACKSPACE:
        return replace(model, asking=replace(asked, reason=asked.reason[:-1])), None
    if key in {UP, DOWN, TAB}:
        return model, None
    return replace(model, asking=replace(asked, reason=asked.reason + key)), None


_DONE = {Verb.PAUSE: "paused", Verb.RESUME: "resumed", Verb.CANCEL: "cancelled"}
_COMMANDS: Mapping[str, Callable[[Model], Model]] = {
    "q": lambda model: replace(model, ended=True),
    "?": lambda model: replace(model, helping=True),
    " ": lambda model: replace(model, frozen=not model.frozen),
    TAB: _next_panel,
    UP: lambda model: _moved(model, -1),
    "k": lambda model: _moved(model, -1),
    DOWN: lambda model: _moved(model, 1),
    "j": lambda model: _moved(model, 1),
    "p": _ask_of_queue,
    "c": _ask_of_job,
}
