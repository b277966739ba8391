"""The page of all that is told by name, out of the one table of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.catalogue import EVENTS, INSTRUMENTS, METRICS, SPANS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.catalogue import Entry

__all__ = ["page"]

HEAD = """# Events, metrics and spans

Everything the engine tells by name. This page is made of the table that the code itself goes by
(`python scripts/write_reference.py`).

Names and labels are bounded: kinds, queues, nodes, lanes, schedules. Ids stand in the subjects of events, in spans and in
logs, never in a metric.
"""

EVENTS_HEAD = """## Events

Stored in the step of the change that they tell of, where a subscription asks for them; those with a star always, since
they tell what people did. Of `job.` events the subject is the job's id, of others the name of what they tell of. How to
handle, follow and publish them: [events](../how-to/events.md).
"""

METRICS_HEAD = """## Metrics, for Prometheus

How to serve them: [monitor](../how-to/monitor.md). First those of one process, which add up over all; from
`backburner_queue_jobs` on those of the store, of which every process shows the same: take the greatest, never the sum.
"""

SPANS_HEAD = """## Spans and metrics, for OpenTelemetry

How to have them: [trace](../how-to/trace.md).
"""


def page() -> str:
    """Return the page."""
    return "\n".join(
        (
            HEAD,
            EVENTS_HEAD,
            *_table(("event", "tells", "data"), ((_name(each), each.says, _fields(each)) for each in EVENTS)),
            "",
            METRICS_HEAD,
            *_table(
                ("metric", "type", "unit", "tells", "labels"),
                ((_name(each), each.form, each.unit, each.says, _fields(each)) for each in METRICS),
            ),
            "",
            SPANS_HEAD,
            *_table(("span", "tells", "attributes"), ((_name(each), each.says, _fields(each)) for each in SPANS)),
            "",
            *_table(
                ("metric", "type", "unit", "tells", "attributes"),
                ((_name(each), each.form, each.unit, each.says, _fields(each)) for each in INSTRUMENTS),
            ),
            "",
        )
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _name(entry: Entry) -> str:
    return f"`{entry.name}`{' *' if entry.kept else ''}"


def _fields(entry: Entry) -> str:
    return ", ".join(f"`{field}`" for field in entry.fields)
