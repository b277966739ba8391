"""New jobs as rows, and writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import due_at, expires_at
from backburner.backends.sqlite import telling
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import is_content
from backburner.backends.sqlite.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.steps import Statement, Steps
    from backburner.model.job import NewJob

__all__ = ["is_plain", "write_jobs"]

_PLAIN = load("insert_plain")
_HEADED = load("insert_headed")
_FULL = load("insert_full")
_LINKED = load("insert_linked")
_REVIVE = load("revive")
_UNLIFT = load("unlift")
_UNASK = load("unask")


def write_jobs(
    waiting: Sequence[NewJob],
    born: Sequence[tuple[NewJob, int]] = (),
    revived: Sequence[NewJob] = (),
    unasked: Sequence[str] = (),
    *,
    node: str | None,
    now: int,
    asked: Asked,
) -> Steps[None]:
    """Write jobs, all or none: those that wait, that are born under a token, that are stored anew; and ids asked no more.

    What is refused for its content is undone; any other error ends the whole transaction.
    """
    plain, headed = _simple(waiting)
    full = [_row(job, now, token) for job, token in born if not _is_linked(job)]
    linked = [_linked_row(job, now, token) for job, token in born if _is_linked(job)] if len(full) < len(born) else []
    if len(plain) + len(headed) < len(waiting):
        others = [job for job in waiting if not is_plain(job)]
        full += [_row(job, now, None) for job in others if not _is_linked(job)]
        linked += [_linked_row(job, now, None) for job in others if _is_linked(job)]
    statements: list[Statement] = [
        (sql, {"now": now, "jobs": to_json(rows)}) for sql, rows in ((_PLAIN, plain), (_HEADED, headed)) if rows
    ]
    if full:
        statements.append((_FULL, {"now": now, "node": node, "jobs": to_json(full)}))
    if linked:
        statements.append((_LINKED, {"now": now, "node": node, "jobs": to_json(linked)}))
        parents = {job.parent for job in (*waiting, *(job for job, _ in born)) if job.parent is not None}
        if parents:
            statements.append((_UNLIFT, {"ids": to_json([*parents])}))
    if revived:
        statements.append((_REVIVE, {"now": now, "jobs": to_json([_linked_row(job, now, None) for job in revived])}))
    if unasked:
        statements.append((_UNASK, {"ids": to_json(unasked)}))
    statements += telling.stored(waiting, revived, born, node=node, asked=asked, now=now)
    if len(statements) == 1:
        yield statements[0]
    elif statements:
        yield from _together(statements)


def _simple(waiting: Sequence[NewJob]) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the rows of jobs with nothing but arguments, and of those with headers beside them."""
    simple = [job for job in waiting if is_plain(job)]
    plain: list[tuple[object, ...]] = [
        (job.id, job.kind, job.queue, job.args, job.priority) for job in simple if job.headers is None
    ]
    if len(plain) == len(simple):
        return plain, []
    return plain, [
        (job.id, job.kind, job.queue, job.args, job.priority, job.headers) for job in simple if job.headers is not None
    ]


def _together(statements: Sequence[Statement]) -> Steps[None]:
    # One statement that fails undoes itself; several need a point to go back to.
    yield "SAVEPOINT rows", {}
    try:
        for statement in statements:  # noqa: UP028 - a list cannot be sent answers
            yield statement
    except Exception as error:
        if is_content(error):
            yield "ROLLBACK TO rows", {}
            yield "RELEASE rows", {}
        raise
    yield "RELEASE rows", {}


def is_plain(job: NewJob) -> bool:
    """Tell whether a job waits in line from now on and leaves everything else but its headers at its default."""
    return (
        job.delay <= 0
        and job.at is None
        and job.expires_in is None
        and job.expires_at is None
        and job.timeout is None
        and job.retry is None
        and not job.tags
        and not job.gate
        and job.parent is None
        and job.unique is None
        and not job.lanes
    )


def _is_linked(job: NewJob) -> bool:
    """Tell whether a job has something to do with others: with who stored it, who has its key, who is in its lanes."""
    return job.headers is not None or job.parent is not None or job.unique is not None or bool(job.lanes)


def _row(job: NewJob, now: int, token: int | None) -> tuple[object, ...]:
    return (
        job.id,
        job.kind,
        job.queue,
        job.args,
        job.priority,
        due_at(job, now),
        expires_at(job, now),
        job.timeout,
        job.retry,
        job.tags,
        job.gate,
        token,
    )


def _linked_row(job: NewJob, now: int, token: int | None) -> tuple[object, ...]:
    row = (*_row(job, now, token), job.headers, job.parent, job.lanes)
    unique = job.unique
    if unique is None:
        return row
    return (*row, unique.key, unique.states, None if unique.period is None else now + unique.period)
