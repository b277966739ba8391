"""A live view, drawn for a terminal's size. Pure: what is left out for want of room is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rich.console import Group
from rich.text import Text

from backburner.cli.jobs.record import error_line, state_of
from backburner.cli.status.screen import headline, nodes_line, queue_view
from backburner.cli.tables import View, fitting, rows_table, safe
from backburner.cli.times import ago
from backburner.cli.top.state import Act, Panel, Verb, queues_of, rows_of, selected
from backburner.model.clock import SECOND
from backburner.model.duration import about
from backburner.observability.overview import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from backburner.cli.top.state import Model, Seen
    from backburner.model.job import JobRecord
    from backburner.observability.overview import Overview

__all__ = ["draw"]

T = TypeVar("T")

#: Columns and lines below which nothing can be made out.
_NARROWEST, _LOWEST = 40, 8
#: Lines of the head and of the foot; and of a panel without its rows: its title and the titles of its columns.
_HEAD, _FOOT, _OVERHEAD = 3, 1, 2
#: Rows of a panel, below which the others make room for the one that is worked in.
_FEWEST = 2
_BAR = 12
_KEYS = "q quit · tab panel · ↑↓ select · p pause · c cancel · space freeze · ? help"
_HELP = (
    "q            leave",
    "tab          the next panel: queues, running jobs, failures",
    "↑ ↓, k j     select a row",
    "p            pause the selected queue, or resume it",
    "c            cancel the selected running job",
    "space        freeze what is shown; again: go on",
    "?            this; any key goes back",
    "",
    "p and c ask, and take a reason. Both are kept:",
    "backburner events list --name 'operator.*'",
)


def draw(model: Model, width: int, height: int) -> RenderableType:
    """Return what fills a terminal of this size."""
    if width < _NARROWEST or height < _LOWEST:
        return Text(f"{width}x{height} is too small; backburner status tells it all. q quits")
    room = height - _HEAD - _FOOT
    body, taken = _body(model, room, width)
    return Group(*_head(model, width), *body, *[Text("")] * (room - taken), _foot(model))


def _body(model: Model, room: int, width: int) -> tuple[Sequence[RenderableType], int]:
    """Return what stands between head and foot, and how many lines it takes."""
    if model.helping:
        lines = [_line(line) for line in _HELP[:room]]
        return lines, len(lines)
    if model.seen is None:
        return [], 0
    rooms = _rooms(model, room)
    body = [part for panel, rows in rooms.items() for part in _panel(model, model.seen, panel, rows, width)]
    return body, sum(rooms.values()) + _OVERHEAD * len(rooms)


def _head(model: Model, width: int) -> Sequence[Text]:
    if model.seen is None:
        return [_line(model.away or "reading …"), Text(""), Text("")]
    overview = model.seen.overview
    frozen = "FROZEN · " if model.frozen else ""
    first = _line(f"{frozen}{overview.address} · {headline(overview)}", style="reverse" if model.frozen else "bold")
    first.truncate(width, overflow="ellipsis")
    return [first, _line(f"nodes: {nodes_line(overview)}"), _counts(overview)]


def _counts(overview: Overview) -> Text:
    holds = [queue.holds for queue in overview.queues]
    letters = overview.letters
    counts = {
        "waiting": sum(queue.waiting for queue in holds),
        "running": sum(queue.running for queue in holds),
        "retrying": sum(queue.retrying for queue in holds),
        "scheduled": sum(queue.scheduled for queue in holds),
        "held": sum(queue.held for queue in holds),
        "dead in 24 h": 0 if letters is None else letters.recent,
        "done/min": sum(queue.done or 0 for queue in overview.queues),
    }
    found = len(overview.troubles)
    calm = "nothing to do" if Part.QUEUES not in overview.unread else "?"
    text = " · ".join(f"{count:,} {name}" for name, count in counts.items() if count) or calm
    findings = f"{found:,} {'finding' if found == 1 else 'findings'} (backburner status) · " if found else ""
    line = _line(findings + text)
    line.stylize("red", 0, len(findings))
    return line


def _rooms(model: Model, lines: int) -> Mapping[Panel, int]:
    """Share out lines: each panel has what it needs, or its turns of what there is; on a low terminal but one is shown."""
    panels = [*Panel]
    if lines < len(panels) * (_OVERHEAD + _FEWEST):
        return {model.panel: min(max(len(rows_of(model.seen, model.panel)), 1), lines - _OVERHEAD)}
    left = lines - len(panels) * _OVERHEAD
    needs = {panel: max(len(rows_of(model.seen, panel)), 1) for panel in panels}
    rooms = dict.fromkeys(panels, 0)
    while left and any(rooms[panel] < needs[panel] for panel in panels):
        for panel in panels:
            if left and rooms[panel] < needs[panel]:
                rooms[panel] += 1
                left -= 1
    return rooms


def _panel(model: Model, seen: Seen, panel: Panel, room: int, width: int) -> Sequence[RenderableType]:
    shape = _shape(seen, panel, width)
    chosen = selected(model, panel)
    at = 0 if chosen is None else [*rows_of(seen, panel)].index(chosen)
    first = min(max(0, at - room // 2), max(0, len(shape.rows) - room))
    shown = shape.rows[first : first + room]
    title = _title(model, seen, panel, len(shown), shape.dropped)
    if not shown:
        empty = seen.unread if panel is Panel.FAILURES and seen.unread else "none"
        return [title, _line(f"  {empty}", style="dim"), *[Text("")] * room]
    table = rows_table(shape.titles, shown, numbers=shape.numbers)
    if panel is model.panel:
        table.rows[at - first].style = "reverse"
    return [title, table]


def _title(model: Model, seen: Seen, panel: Panel, shown: int, dropped: Sequence[str]) -> Text:
    total = {
        Panel.QUEUES: len(seen.overview.queues),
        Panel.RUNNING: seen.running_total,
        Panel.FAILURES: seen.failures_total,
    }[panel]
    count = f"{total:,}" if shown >= total else f"{shown:,} of {total:,}"
    without = f", no room for {', '.join(dropped)}" if dropped else ""
    mine = panel is model.panel
    return _line(f"{'▶' if mine else ' '} {panel} ({count}{without})", style="bold cyan" if mine else "cyan")


class _Shape(NamedTuple):
    """A table as far as it has room."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    #: The titles of columns that had none.
    dropped: Sequence[str]
    #: Positions of columns of numbers.
    numbers: Sequence[int]


def _shape(seen: Seen, panel: Panel, width: int) -> _Shape:
    now = seen.overview.now
    match panel:
        case Panel.QUEUES:
            return _fitted(queue_view(seen.overview), queues_of(seen), width)
        case Panel.RUNNING:
            return _fitted(_running(now), seen.running, width)
        case Panel.FAILURES:
            return _fitted(_failures(now), seen.failures, width)


def _fitted(view: View[T], items: Sequence[T], width: int) -> _Shape:
    rows = [view.cells(item) for item in items]
    kept = fitting(view, rows, width)
    return _Shape(
        titles=[view.titles[at] for at in kept],
        rows=[[row[at] for at in kept] for row in rows],
        dropped=[title for at, title in enumerate(view.titles) if at not in kept],
        numbers=[kept.index(at) for at in view.numbers if at in kept],
    )


def _running(now: int) -> View[JobRecord]:
    def cells(job: JobRecord) -> tuple[str, ...]:
        # It may have begun after the now that is shown.
        spent = about(_seconds(max(0, now - (job.started_at or now))))
        return (job.id, job.kind, job.queue, job.node or "", str(job.attempt), spent, _progress(job))

    return View(
        titles=("JOB", "KIND", "QUEUE", "NODE", "TRY", "FOR", "PROGRESS"),
        cells=cells,
        fields=cells,
        value=cells,
        spare=(4, 2, 3),
        numbers=(4, 5),
    )


def _failures(now: int) -> View[JobRecord]:
    def cells(job: JobRecord) -> tuple[str, ...]:
        failed = ago(job.ended_at or job.started_at or now, now)
        state = state_of(job, now).value
        error = error_line(job.error, job.message) or job.reason or ""
        return (job.id, state, failed, job.kind, job.queue, str(job.attempt), error)

    return View(
        titles=("JOB", "STATE", "RAN", "KIND", "QUEUE", "TRY", "ERROR"),
        cells=cells,
        fields=cells,
        value=cells,
        spare=(4, 5, 2, 3),
        numbers=(5,),
    )


def _progress(job: JobRecord) -> str:
    asked = "asked to stop" if job.cancel else ""
    if job.done is None:
        return asked
    if not job.total:
        return f"{job.done:,} {asked}"
    filled = min(_BAR, max(0, _BAR * job.done // job.total))
    return f"[{'#' * filled}{'-' * (_BAR - filled)}] {job.done:,}/{job.total:,} {asked}"


def _foot(model: Model) -> Text:
    if model.asking is not None:
        return _line(f"{_question(model.asking)} reason: {model.asking.reason}_ (Enter yes, Esc no)", style="reverse")
    if model.away and model.seen is not None:
        return _line(model.away, style="bold red")
    return _line(model.said or _KEYS, style="bold" if model.said else "dim")


def _question(asked: Act) -> str:
    match asked.verb:
        case Verb.PAUSE:
            return f"pause queue {asked.target} on all nodes?"
        case Verb.RESUME:
            return f"resume queue {asked.target}?"
        case Verb.CANCEL:
            return f"cancel job {asked.target}?"


def _seconds(duration: int) -> int:
    return duration - duration % SECOND if duration >= SECOND else duration


def _line(text: str, style: str = "") -> Text:
    """Return a line that is cut where the terminal ends."""
    return Text(safe(text), style=style, no_wrap=True, overflow="ellipsis")
