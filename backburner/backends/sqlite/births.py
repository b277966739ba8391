"""Whether a job may be born running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.statements import load
from backburner.model.job import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

__all__ = ["Births"]

_AHEAD = load("ahead")

_decode_kinds = msgspec.json.Decoder(frozenset[str]).decode


@dataclass(slots=True)
class _Queue:
    #: It is, or has a rate.
    paused: bool
    #: Runs that an operator's slots leave the node; None is no limit.
    room: int | None
    #: The first priority with a due job in the line: what is not before it must wait.
    ahead: int
    #: The kinds that are paused.
    kinds: frozenset[str]


class Births:
    """An offer to run jobs, seen from inside the transaction that stores them: each queue is looked at once."""

    def __init__(self, birth: Birth, *, alive: bool, now: int) -> None:
        self._birth = birth
        self._alive = alive
        self._now = now
        self._queues: dict[str, _Queue] = {}

    @property
    def node(self) -> str:
        """The node that offers."""
        return self._birth.node

    def token(self, job: NewJob) -> int | None:
        """Return the token drawn for a job; None if it is not on offer."""
        return self._birth.tokens.get(job.id)

    def look(self, jobs: Iterable[NewJob]) -> Steps[None]:
        """Look at the queues of the jobs on offer; comes before any job is asked about."""
        if not self._alive:
            return
        tokens = self._birth.tokens
        for name in {job.queue: None for job in jobs if job.id in tokens}:
            paused, room, ahead, kinds = yield _AHEAD, {"queue": name, "node": self.node, "now": self._now}
            first = PRIORITIES.stop if ahead is None else ahead
            self._queues[name] = _Queue(bool(paused), room, first, _decode_kinds(kinds))

    def may_run(self, job: NewJob) -> bool:
        """Tell whether a job on offer may run at once, and count on it that it does."""
        if not self._alive or job.gate or job.lanes or job.delay > 0 or (job.at is not None and job.at > self._now):
            return False
        queue = self._queues[job.queue]
        if (
            queue.paused
            or job.kind in queue.kinds
            or queue.ahead <= job.priority
            or (queue.room is not None and queue.room < 1)
        ):
            return False
        if queue.room is not None:
            queue.room -= 1
        return True

    def waits(self, job: NewJob) -> None:
        """Know of a job of the same write that is due, and stored before those that follow."""
        queue = self._queues.get(job.queue)
        if queue is not None and not job.gate:
            queue.ahead = min(queue.ahead, job.priority)
