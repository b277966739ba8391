"""What each queue holds, counted by ranges of sorted sets.

Two things have no index by queue. Jobs that wait for a unique key are walked, in steps; they are follow-ups of jobs that
hold it. So are dead letters while some are left of a backburner that kept no index of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from backburner.backends.redis.walking import STEP
from backburner.ports.jobs import Backlog, QueueBacklog

if TYPE_CHECKING:
    from backburner.backends.redis.session import Session

__all__ = ["backlog"]


async def backlog(session: Session) -> Backlog:
    """Count what each queue holds; others go in between the steps, if it takes several."""
    keys = session.keys
    used = (keys.line, keys.held, keys.retrying, keys.letters, keys.dead, keys.parked, keys.waiting)
    now, lines, runs, letters, unknown, is_short, parked, waiting = await session.scripts.read("read_backlog", used)
    held: Counter[str] = Counter()
    if parked:
        held.update(await _parked(session))
    if waiting:
        held.update(await _walked(session, "waiting"))
    running, dead = _counts(runs), await _walked(session, "dead") if is_short else _counts(letters)
    found = {line[0].decode(): line[1:] for line in lines}
    return Backlog(
        now=now,
        queues=tuple(
            _queue(name, found.get(name), held=held[name], running=running[name], dead=dead[name])
            for name in sorted({*found, *held, *running, *dead})
        ),
        unknown=dict(_counts(unknown)),
    )


def _queue(name: str, line: list[Any] | None, *, held: int, running: int, dead: int) -> QueueBacklog:
    waiting, oldest, later, retrying, at_gates = line or (0, None, 0, 0, 0)
    return QueueBacklog(
        queue=name,
        waiting=waiting,
        oldest=oldest,
        scheduled=later - retrying,
        retrying=retrying,
        held=at_gates + held,
        running=running,
        dead=dead,
    )


def _counts(answer: list[Any]) -> Counter[str]:
    """Add up counts: names and how many, in turns; a name may come again."""
    counted: Counter[str] = Counter()
    for name, count in zip(answer[::2], answer[1::2], strict=True):
        counted[name.decode()] += count
    return counted


async def _parked(session: Session) -> Counter[str]:
    """Count who stands at lanes, by queue: as many ranges as there are lanes where somebody stands."""
    counted: Counter[str] = Counter()
    beginning: bytes | None = b"-"
    while beginning is not None:
        beginning, *found = await session.scripts.read("read_parked", (session.keys.parked,), (beginning,))
        counted.update(_counts(found))
    return counted


async def _walked(session: Session, index: Literal["waiting", "dead"]) -> Counter[str]:
    """Count the jobs of an index, by their queues."""
    counted: Counter[str] = Counter()
    beginning: bytes | None = b"-"
    while beginning is not None:
        last, *queues = await session.scripts.read("read_queues", session.keys.tables, (index, beginning, STEP))
        counted.update(queue.decode() for queue in queues)
        beginning = None if last is None else b"(" + last
    return counted
