"""Sees callers' own transactions end: only then may anybody look for the jobs that were stored in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from weakref import ref

from backburner.jobs.loop import Loop
from backburner.model.clock import SECOND
from backburner.resilience.backoff import exponential

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backburner.jobs.joined import Joined
    from backburner.jobs.kit import Kit

__all__ = ["Commits"]

#: Answers a connection as long as there is one.
_Connection: TypeAlias = "Callable[[], object]"

#: Between the looks, counted from the last transaction that was joined.
_BACKOFF = exponential(0.005, factor=2, cap=1, jitter="equal")


class Commits:
    """Looks at connections that jobs were stored through until they have left their transactions, then tells.

    A look asks the connection alone, not the store. Whether it was committed or rolled back is not known: what is told
    is a hint. A connection is not kept alive for this, and without one nothing runs.
    """

    def __init__(self, joined: Joined, over: Callable[[Collection[str]], None], kit: Kit) -> None:
        self._joined = joined
        self._over = over
        self._random = kit.random
        #: Connections, each once however many jobs are stored through it, and these jobs' queues.
        self._watched: list[tuple[_Connection, set[str]]] = []
        #: Looks since the last one was joined.
        self._looks = 0
        self._loop = Loop("commits", self._step, kit=kit)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    def watch(self, tx: object, queues: Collection[str]) -> None:
        """Tell of these queues once the connection has left its transaction."""
        for connection, known in self._watched:
            if connection() is tx:
                known.update(queues)
                break
        else:
            self._watched.append((_reference(tx), set(queues)))
        self._looks = 0
        self._loop.wake()

    async def stop(self) -> None:
        """Look once more, and end."""
        await self._loop.stop()
        self._look()
        self._watched.clear()

    async def _step(self) -> float | None:
        self._look()
        if not self._watched:
            return None
        self._looks += 1
        return _BACKOFF.delay(self._looks, previous=None, random=self._random) / SECOND

    def _look(self) -> None:
        # What it keeps for tasks that are gone would be looked at for ever.
        self._joined.forget_ended()
        watched: list[tuple[_Connection, set[str]]] = []
        over = set[str]()
        for entry in self._watched:
            connection, queues = entry
            tx = connection()
            if tx is not None and self._joined.is_open(tx):
                watched.append(entry)
            else:
                over |= queues
        if len(watched) < len(self._watched):
            self._watched = watched
            self._over(over)


def _reference(tx: object) -> _Connection:
    """Return what answers a connection, and does not keep it alive unless its driver leaves no other way."""
    try:
        return ref(tx)
    except TypeError:  # a driver's own class, without room for it
        return lambda: tx
