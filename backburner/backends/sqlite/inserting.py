"""Jobs on their way in."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from backburner.backends.halving import Halving
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.births import Births
from backburner.backends.sqlite.failures import is_content, is_duplicate, why_refused
from backburner.backends.sqlite.parking import park
from backburner.backends.sqlite.rows import write_jobs
from backburner.backends.sqlite.sorting import STORED, sort_and_store
from backburner.ports.jobs import Enqueued, GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

__all__ = ["follow", "insert", "store"]


def insert(
    groups: Sequence[Sequence[NewJob]], birth: Birth | None, *, alive: bool, joined: bool = False, now: int
) -> Steps[Enqueued]:
    """Store groups, halving away those that are refused for their content.

    ``alive`` tells whether the node that offers births has a live lease, ``joined`` that this is a caller's transaction:
    until that ends nobody knows who will stand at a lane, so nobody is parked there.
    """
    answers = [STORED] * len(groups)
    asked = yield from find_asked()
    plan = Halving(len(groups))
    for part in plan:
        births = Births(birth, alive=alive, now=now) if birth is not None else None
        try:
            answers[part.start : part.stop] = yield from store(
                groups[part.start : part.stop], births, now, asked, joined=joined
            )
        except Exception as error:
            if not is_content(error):
                raise
            if not plan.split(part):
                answers[part.start] = GroupAnswer(refused=why_refused(error))
    return Enqueued(now, tuple(answers))


def follow(jobs: Sequence[NewJob], now: int, asked: Asked) -> Steps[None]:
    """Store follow-ups, all or none; those whose key is held are parked at its gate."""
    yield from store([jobs], None, now, asked, parks=True)


def store(
    groups: Sequence[Sequence[NewJob]],
    births: Births | None,
    now: int,
    asked: Asked,
    *,
    joined: bool = False,
    parks: bool = False,
) -> Steps[list[GroupAnswer]]:
    """Store groups, all or none; ``parks`` those whose unique key is held."""
    if not joined:
        groups = yield from park(groups, now)
    if births is None:
        jobs = [job for group in groups for job in group]
        if not any([job.unique is not None for job in jobs]):  # noqa: C419 - a list takes half the time
            # Ids are almost never stored twice: the table itself finds the exception.
            try:
                yield from write_jobs(jobs, node=None, now=now, asked=asked)
            except sqlite3.IntegrityError as error:
                if not is_duplicate(error):
                    raise
            else:
                return [STORED] * len(groups)
    return (yield from sort_and_store(groups, births, now, asked, parks=parks))
