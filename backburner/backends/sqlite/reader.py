"""Reads, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.job import Attempt, JobRecord
from backburner.model.query import Shown
from backburner.ports.jobs import Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.query import JobFilter

__all__ = ["SqliteJobReader"]

_GET = load("get")
_HISTORY = load("history")

_decode_records = msgspec.json.Decoder(tuple[JobRecord, ...]).decode
_decode_attempts = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_decode_counts = msgspec.json.Decoder(dict[Shown, int]).decode

#: A field that may be left open is no bound to an index; what stands in its place where it is given.
_PARENT = ("(:parent IS NULL OR parent = :parent)", "parent = :parent")
_NODE = ("(:node IS NULL OR node = :node)", "node = :node AND state = 'running'")


class _Filtered:
    """A statement by a filter; those who ask for a job's children, or for what a node runs, have the index of it."""

    __slots__ = ("_all", "_children", "_held")

    def __init__(self, name: str) -> None:
        self._all = load(name)
        self._children = self._all.replace(*_PARENT)
        self._held = self._all.replace(*_NODE)

    def text(self, where: JobFilter) -> str:
        """Return the statement for a filter."""
        if where.parent is not None:
            return self._children
        return self._held if where.node is not None and where.states == (Shown.RUNNING,) else self._all


_FIND = _Filtered("find")
_COUNT = _Filtered("count")


class SqliteJobReader:
    """A `JobReader`: each read is one statement that answers one row, on a connection that cannot write."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, ids: Sequence[str]) -> Page:
        """Return the jobs of these ids that exist."""
        now = self._session.clock.now()
        return Page(now, _decode_records(await self._session.reads.one(_GET, {"ids": to_json(ids)})), None)

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        """Return the attempts that did not complete, oldest first."""
        return _decode_attempts(await self._session.reads.one(_HISTORY, {"id": job_id}))

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        """Return the jobs that match, newest id first, below ``after``."""
        now = self._session.clock.now()
        # One more than asked for tells whether there is a next page.
        parameters = _parameters(where, now) | {"after": after, "limit": limit + 1}
        found = _decode_records(await self._session.reads.one(_FIND.text(where), parameters))
        page = found[:limit]
        return Page(now, page, page[-1].id if page and len(found) > limit else None)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        """Count the jobs that match, by the state shown."""
        parameters = _parameters(where, self._session.clock.now())
        return _decode_counts(await self._session.reads.one(_COUNT.text(where), parameters))


def _parameters(where: JobFilter, now: int) -> dict[str, object]:
    conditions = [(condition.path, condition.operator, condition.value) for condition in where.where]
    return {
        "now": now,
        "prefix": where.prefix,
        "parent": where.parent,
        "node": where.node,
        "kinds": _any_of(where.kinds),
        "queues": _any_of(where.queues),
        "states": _any_of(where.states),
        "tags": _any_of(where.tags),
        "since": where.since,
        "until": where.until,
        "fingerprint": where.fingerprint,
        "error": where.error,
        "conditions": _any_of(conditions),
    }


def _any_of(values: Sequence[object]) -> str | None:
    return to_json(values) if values else None
