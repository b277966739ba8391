"""The store on one screen, for a person."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from backburner.cli.status.findings import advice, letters_line, said
from backburner.cli.tables import View, facts, safe, table
from backburner.cli.times import near
from backburner.dlq.progress import progress_of
from backburner.model.clock import SECOND, from_micros
from backburner.model.duration import about
from backburner.observability.overview import Overview, Part, QueueSeen, Trouble
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from backburner.cli.status.findings import Said
    from backburner.model.node import NodeRecord

__all__ = ["headline", "nodes_line", "queue_view", "screen"]

#: Queues, and findings of one sort, that have room.
_QUEUES, _EACH = 20, 5
#: Hosts, and lost nodes, that a line names.
_NAMED = 4
#: Clocks that differ by less are alike: that much is lost on the way.
_ALIKE = SECOND // 10


def screen(overview: Overview, width: int) -> Sequence[RenderableType]:
    """Return the blocks of a screen."""
    found = said(overview)
    blocks: list[RenderableType] = [
        Text(safe(f"{overview.address} · {headline(overview)}")),
        facts([("nodes", nodes_line(overview))]),
    ]
    queues = _sorted(overview)
    if queues:
        view = queue_view(overview)
        blocks.append(table(view, [view.cells(queue) for queue in queues[:_QUEUES]], width))
    if len(queues) > _QUEUES:
        blocks.append(Text(f"and {len(queues) - _QUEUES:,} more: backburner queues list"))
    blocks.append(facts([*_findings(found), *_calm(overview)]))
    blocks.append(facts([("next:" if not number else "", step) for number, step in enumerate(_steps(overview))]))
    return blocks


def headline(overview: Overview) -> str:
    """Write the schema, the store's now, and how far this machine's clock is from it."""
    moment = from_micros(overview.now).strftime("%H:%M:%S UTC")
    offset = overview.offset
    clock = (
        "" if abs(offset) < _ALIKE else f" · {about(abs(offset))} {'ahead of' if offset > 0 else 'behind'} this clock"
    )
    schema = "" if overview.schema is None else f"schema {overview.schema[0]} · "
    return f"{schema}store time {moment}{clock}"


def nodes_line(overview: Overview) -> str:
    """Say how many nodes work, where, how many drain, and who died."""
    if Part.NODES in overview.unread:
        return "?"
    by_state: dict[str, list[NodeRecord]] = {"dead": [], "draining": [], "working": []}
    for node in overview.nodes:
        by_state["dead" if not node.alive else "draining" if node.draining else "working"].append(node)
    told = [f"{len(nodes):,} {state}{_hosts(nodes)}" for state, nodes in by_state.items() if nodes]
    idle = sum(node.alive and not node.queues for node in overview.nodes)
    if idle:
        told.append(f"{idle:,} without a queue")
    told += [f"lost {lost.node} at {near(lost.at, overview.now)}" for lost in overview.lost[:_NAMED]]
    return ", ".join(told) or "none: nobody runs jobs"


def _sorted(overview: Overview) -> Sequence[QueueSeen]:
    """Return the queues, the most alarming first: those nobody serves, those paused, those whose first job waits longest."""

    def alarm(queue: QueueSeen) -> tuple[bool, bool, int, str]:
        oldest = queue.holds.oldest
        return (not overview.unserved(queue), not queue.record.paused, oldest or overview.now, queue.name)

    return sorted(overview.queues, key=alarm)


def queue_view(overview: Overview) -> View[QueueSeen]:
    """Return how queues look on a terminal."""
    held, served = Part.QUEUES not in overview.unread, Part.NODES not in overview.unread

    def cells(queue: QueueSeen) -> tuple[str, ...]:
        holds = queue.holds
        oldest = "" if holds.oldest is None else _age(overview.now - holds.oldest)
        running, *counts = (
            f"{count:,}" if held else "?"
            for count in (holds.running, holds.waiting, holds.retrying, holds.scheduled, holds.held)
        )
        slots = f"{queue.slots:,}" if served else "?"
        return (
            *(queue.name, counts[0], f"{running}/{slots}", *counts[1:], oldest),
            "?" if queue.done is None else f"{queue.done:,}",
            _state(overview, queue),
        )

    return View(
        titles=("QUEUE", "WAITING", "RUNNING", "RETRYING", "SCHEDULED", "HELD", "OLDEST", "DONE/MIN", "STATE"),
        cells=cells,
        fields=cells,
        value=cells,
        spare=(4, 5, 3, 7, 6),
        numbers=(1, 2, 3, 4, 5, 6, 7),
    )


def _state(overview: Overview, queue: QueueSeen) -> str:
    """Write what state a queue is in, and what an operator set for it."""
    record = queue.record
    slots = "" if record.slots is None else f"{record.slots} a node"
    limits = ", ".join(filter(None, (slots, "" if record.rate is None else rate_text(record.rate))))
    state = "active"
    if record.paused:
        state = "paused"
    elif overview.unserved(queue):
        state = "unserved"
    return f"{state}: {limits}" if limits else state


def _age(age: int) -> str:
    return about(age - age % SECOND if age >= SECOND else age)


def _hosts(nodes: Sequence[NodeRecord]) -> str:
    counted = Counter(node.host for node in nodes)
    named = [host if count == 1 else f"{host} {count}" for host, count in counted.most_common(_NAMED)]
    return f" ({', '.join(named)}{', …' if len(counted) > _NAMED else ''})"


def _findings(found: Sequence[Said]) -> Iterator[tuple[str, str]]:
    """Tell what was found; of one sort no more than a few."""
    counted = Counter(each.trouble for each in found)
    told = Counter[Trouble]()
    for each in found:
        told[each.trouble] += 1
        if told[each.trouble] <= _EACH:
            yield each.head, each.line
        elif told[each.trouble] == _EACH + 1:
            yield "", f"and {counted[each.trouble] - _EACH:,} more like it"


def _calm(overview: Overview) -> Iterator[tuple[str, str]]:
    """Tell what goes on, or is on record, and wants nobody."""
    if overview.letters is not None and not overview.letters.recent:
        yield "dead", letters_line(overview)
    for operation in overview.operations:
        progress = progress_of(operation, overview.now)
        by = f" by {progress.by}" if progress.by else ""
        why = f": {progress.reason}" if progress.reason else ""
        yield progress.action, f"{progress.id} has done {progress.done:,} of {progress.found:,}{by}{why}"


def _steps(overview: Overview) -> Sequence[str]:
    return advice(overview) or ["nothing to do"]
