"""Opening lanes: letting those who stand at them into the line, which happens at the start of a claim and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backburner.backends.memory.lanes import room

if TYPE_CHECKING:
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.lanes import Lane

__all__ = ["open_lanes"]

#: So many jobs, and so many lanes that let nobody in, are the business of one claim; the rest is the next one's.
_MOST: Final = 1_000


def open_lanes(database: MemoryDatabase, now: int) -> None:
    """Let in whom there is room for, at each lane that opens by now."""
    left = _MOST
    while left > 0 and (first := database.lanes.next_opening()) is not None and first[0] <= now:
        left -= max(1, _open(database, first[1], left, now))


def _open(database: MemoryDatabase, name: str, most: int, now: int) -> int:
    """Let in whom one lane has room for, and see to it that it opens again for the others; return how many were let in."""
    lanes = database.lanes
    lane, limit = lanes.use(name), lanes.limit(name)
    lane.opens_at = None
    free = room(lane, limit, now)
    let_in = _let_in(database, lane, most if free is None else free, most, now)
    if not lane.parked:
        lanes.tidy(name, now)
    elif let_in == most:
        lanes.open_at(name, now)
    elif limit.rate is not None and (permits := lane.usage.permits(limit.rate, now)) == free:
        # It is the rate that they are short of: those let in are to take what is left of it.
        lanes.open_at(name, lane.usage.next_at(limit.rate, now, permits))
    return let_in


def _let_in(database: MemoryDatabase, lane: Lane, each: int, most: int, now: int) -> int:
    """Let in so many of each queue, in order: one that is paused, or of which no node has room, holds up no other."""
    let_in = 0
    for lines in lane.lines.values():
        left = min(each, most - let_in)
        for priority in sorted(lines):
            while left > 0 and (head := lines[priority].head()) is not None:
                database.leave(head[3])
                database.stand(head[3], "", now)
                left -= 1
                let_in += 1
    lane.lines = {
        queue: kept
        for queue, lines in lane.lines.items()
        if (kept := {priority: line for priority, line in lines.items() if line.live})
    }
    return let_in
