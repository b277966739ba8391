"""What each queue holds, counted where it stands: what is completed or cancelled is not looked at."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from backburner.model.job import UNKNOWN_GATE
from backburner.ports.jobs import Backlog, QueueBacklog

if TYPE_CHECKING:
    from backburner.backends.memory.database import MemoryDatabase

__all__ = ["count_backlog"]


def count_backlog(database: MemoryDatabase, now: int) -> Backlog:
    """Count what each queue holds."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    oldest: dict[str, int] = {}
    unknown: Counter[str] = Counter()
    for name, queue in database.queues.items():
        for entry in (entry for line in queue.line.lines for entry in line):
            row = entry[3]
            if row.due_at <= now:
                counts[name]["waiting"] += 1
                oldest[name] = min(oldest.get(name, row.due_at), row.due_at)
            else:
                counts[name]["retrying" if row.failures else "scheduled"] += 1
        for gate, place in queue.gates.items():
            standing = sum(line.live for line in place.lines)
            counts[name]["held"] += standing
            if gate.startswith(UNKNOWN_GATE) and standing:
                unknown[gate.removeprefix(UNKNOWN_GATE)] += standing
    for name, standing in (*database.keys.standing(), *database.lanes.standing()):
        counts[name]["held"] += standing
    for row in (row for rows in database.running.values() for row in rows.values()):
        counts[row.job.queue]["running"] += 1
    for row in database.letters.values():
        counts[row.job.queue]["dead"] += 1
    return Backlog(
        now=now,
        queues=tuple(
            QueueBacklog(queue=name, oldest=oldest.get(name), **count)
            for name, count in sorted(counts.items())
            if count.total()
        ),
        unknown=dict(unknown),
    )
