"""Jobs on their way in."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.halving import Halving
from backburner.backends.sqlite.births import Births
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content, is_duplicate, why_refused
from backburner.backends.sqlite.statements import load
from backburner.ports.jobs import Enqueued, GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

__all__ = ["insert"]

_PLAIN = load("insert_plain")
_FULL = load("insert_full")
_KNOWN = load("known")

_STORED = GroupAnswer()

#: State, node and token of what is stored under an id.
_Known = tuple[str, str | None, int]
_decode_known = msgspec.json.Decoder(list[tuple[str, str, str | None, int]]).decode


def insert(
    connection: sqlite3.Connection, groups: Sequence[Sequence[NewJob]], birth: Birth | None, *, alive: bool, now: int
) -> Enqueued:
    """Store groups, halving away those that are refused for their content.

    ``alive`` tells whether the node that offers births has a live lease.
    """
    answers = [_STORED] * len(groups)
    plan = Halving(len(groups))
    for part in plan:
        births = Births(connection, birth, alive=alive, now=now) if birth is not None else None
        try:
            answers[part.start : part.stop] = _store(connection, groups[part.start : part.stop], births, now)
        except Exception as error:
            if not is_content(error):
                raise
            if not plan.split(part):
                answers[part.start] = GroupAnswer(refused=why_refused(error))
    return Enqueued(now, tuple(answers))


def _store(
    connection: sqlite3.Connection, groups: Sequence[Sequence[NewJob]], births: Births | None, now: int
) -> list[GroupAnswer]:
    """Store groups, all or none."""
    if births is None:
        # Ids are almost never stored twice: the table itself finds the exception.
        try:
            _write(connection, [job for group in groups for job in group], (), node=None, now=now)
        except sqlite3.IntegrityError as error:
            if not is_duplicate(error):
                raise
        else:
            return [_STORED] * len(groups)
    return _Sorting(connection, groups, births).store(now)


class _Sorting:
    """Groups whose jobs are looked at one by one: to be born, to wait, or stored before."""

    def __init__(
        self, connection: sqlite3.Connection, groups: Sequence[Sequence[NewJob]], births: Births | None
    ) -> None:
        self._connection = connection
        self._groups = groups
        self._births = births
        ids = to_json([job.id for group in groups for job in group])
        (known,) = connection.execute(_KNOWN, {"ids": ids}).fetchone()
        self._known: dict[str, _Known] = {job_id: tuple(rest) for job_id, *rest in _decode_known(known)}  # type: ignore[misc]
        self._waiting: list[NewJob] = []
        self._born: list[tuple[NewJob, int]] = []

    def store(self, now: int) -> list[GroupAnswer]:
        answers = [self._sort(group, now) for group in self._groups]
        node = self._births.node if self._births is not None else None
        _write(self._connection, self._waiting, self._born, node=node, now=now)
        return answers

    def _sort(self, group: Sequence[NewJob], now: int) -> GroupAnswer:
        born: list[str] = []
        duplicates: list[str] = []
        for job in group:
            known = self._known.get(job.id)
            token = self._births.token(job) if self._births is not None else None
            if known is not None:
                again = self._births is not None and known == ("running", self._births.node, token)
                (born if again else duplicates).append(job.id)
            elif self._births is not None and token is not None and self._births.may_run(job):
                self._known[job.id] = ("running", self._births.node, token)
                self._born.append((job, token))
                born.append(job.id)
            else:
                self._known[job.id] = ("pending", None, 0)
                self._waiting.append(job)
                if self._births is not None and _due(job, now) <= now:
                    self._births.waits(job)
        return GroupAnswer(born=tuple(born), duplicates=tuple(duplicates)) if born or duplicates else _STORED


def _write(
    connection: sqlite3.Connection,
    waiting: Sequence[NewJob],
    born: Sequence[tuple[NewJob, int]],
    *,
    node: str | None,
    now: int,
) -> None:
    """Insert rows, all or none."""
    plain = [(job.id, job.kind, job.queue, job.args, job.priority) for job in waiting if _is_plain(job)]
    full = [_row(job, now, token) for job, token in born]
    if len(plain) < len(waiting):
        full += [_row(job, now, None) for job in waiting if not _is_plain(job)]
    if plain and full:
        # One statement that fails undoes itself; two need a point to go back to.
        connection.execute("SAVEPOINT rows")
    try:
        if plain:
            connection.execute(_PLAIN, {"now": now, "jobs": to_json(plain)})
        if full:
            connection.execute(_FULL, {"now": now, "node": node, "jobs": to_json(full)})
    except Exception:
        if plain and full and connection.in_transaction:
            connection.execute("ROLLBACK TO rows")
            connection.execute("RELEASE rows")
        raise
    if plain and full:
        connection.execute("RELEASE rows")


def _is_plain(job: NewJob) -> bool:
    return (
        job.delay <= 0
        and job.at is None
        and job.expires_in is None
        and job.expires_at is None
        and job.timeout is None
        and job.retry is None
        and not job.tags
        and not job.gate
    )


def _due(job: NewJob, now: int) -> int:
    return now + max(0, job.delay) if job.at is None else max(now, job.at)


def _row(job: NewJob, now: int, token: int | None) -> tuple[object, ...]:
    return (
        job.id,
        job.kind,
        job.queue,
        job.args,
        job.priority,
        _due(job, now),
        job.expires_at if job.expires_in is None else now + job.expires_in,
        job.timeout,
        job.retry,
        job.tags,
        job.gate,
        token,
    )
