"""New jobs looked at one by one: to be born, to wait, stored before, stored anew, or kept out by a unique key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import due_at
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.keys import find_holders
from backburner.backends.sqlite.rows import write_jobs
from backburner.backends.sqlite.statements import load
from backburner.model.job import GROUP_CANCELLED, UNIQUE_GATE, JobState
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.births import Births
    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import NewJob

__all__ = ["STORED", "sort_and_store"]

_KNOWN = load("known")

STORED = GroupAnswer()


class _Known(msgspec.Struct, array_like=True, gc=False):
    """What is stored under an id: the column order of its statement."""

    id: str
    state: JobState
    node: str | None = None
    token: int | None = None
    parent: str | None = None
    #: Why it ended, or is to be cancelled.
    reason: str | None = None


_decode_known = msgspec.json.Decoder(list[_Known]).decode


def sort_and_store(
    groups: Sequence[Sequence[NewJob]], births: Births | None, now: int, asked: Asked, *, parks: bool
) -> Steps[list[GroupAnswer]]:
    """Store groups, all or none. A job whose key is held is parked at the key's gate if ``parks``, else not stored."""
    jobs = [job for group in groups for job in group]
    (found,) = yield _KNOWN, {"ids": to_json([job.id for job in jobs])}
    holders = yield from find_holders(jobs, now)
    if births is not None:
        yield from births.look(jobs)
    sorting = _Sorting({job.id: job for job in _decode_known(found)}, holders, births, now, parks=parks)
    answers = [sorting.sort(group) for group in groups]
    yield from sorting.write(asked)
    return answers


class _Sorting:
    """Where the jobs of one write go, by what was found of them."""

    def __init__(
        self, known: dict[str, _Known], holders: dict[str, str], births: Births | None, now: int, *, parks: bool
    ) -> None:
        self._known = known
        #: Who holds the keys of jobs, by the jobs' ids.
        self._holders = holders
        #: Who holds keys from this write on, by key.
        self._taken: dict[str, str] = {}
        self._births = births
        self._now = now
        self._parks = parks
        self._waiting: list[NewJob] = []
        self._born: list[tuple[NewJob, int]] = []
        self._revived: list[NewJob] = []
        self._unasked: list[str] = []

    def write(self, asked: Asked) -> Steps[None]:
        node = self._births.node if self._births is not None else None
        return write_jobs(
            self._waiting, self._born, self._revived, self._unasked, node=node, now=self._now, asked=asked
        )

    def sort(self, group: Sequence[NewJob]) -> GroupAnswer:
        births = self._births
        born: list[str] = []
        duplicates: list[str] = []
        holders: dict[str, str] = {}
        for job in group:
            token = births.token(job) if births is not None else None
            known = self._known.get(job.id)
            if known is not None and not _is_let_down(known, job):
                if births is not None and token is not None and _is_born(known, births.node, token):
                    born.append(job.id)
                elif not self._ask_no_more(known, job):
                    duplicates.append(job.id)
            elif job.unique is not None and (holder := self._holder(job, job.unique.key)) is not None:
                if self._parks:
                    self._wait(msgspec.structs.replace(job, gate=UNIQUE_GATE + job.unique.key), known)
                else:
                    holders[job.id] = holder
            elif births is not None and token is not None and known is None and births.may_run(job):
                self._keep(job, _Known(job.id, JobState.RUNNING, births.node, token))
                self._born.append((job, token))
                born.append(job.id)
            else:
                self._wait(job, known)
        if born or duplicates or holders:
            return GroupAnswer(born=tuple(born), duplicates=tuple(duplicates), holders=holders)
        return STORED

    def _wait(self, job: NewJob, known: _Known | None) -> None:
        """Store a job pending, anew if it is known."""
        self._keep(job, _Known(job.id, JobState.PENDING))
        (self._waiting if known is None else self._revived).append(job)
        if self._births is not None and due_at(job, self._now) <= self._now:
            self._births.waits(job)

    def _keep(self, job: NewJob, known: _Known) -> None:
        """Know of a job from now on, and of the key it holds."""
        self._known[job.id] = known
        unique = job.unique
        if unique is not None and job.gate != UNIQUE_GATE + unique.key:
            held = known.state in unique.states or (unique.period is not None and unique.period > 0)
            if held:
                self._taken.setdefault(unique.key, job.id)

    def _holder(self, job: NewJob, key: str) -> str | None:
        return self._holders.get(job.id) or self._taken.get(key)

    def _ask_no_more(self, known: _Known, job: NewJob) -> bool:
        """Take back that a running child was asked to be cancelled by its own group; False if it was not."""
        asked = known.state is JobState.RUNNING and known.reason == GROUP_CANCELLED and _is_same_child(known, job)
        if asked:
            self._unasked.append(job.id)
            known.reason = None
        return asked


def _is_let_down(known: _Known, job: NewJob) -> bool:
    """Tell whether a child was cancelled by its own group, so that it is to be stored anew."""
    return known.state is JobState.CANCELLED and known.reason == GROUP_CANCELLED and _is_same_child(known, job)


def _is_same_child(known: _Known, job: NewJob) -> bool:
    return job.parent is not None and job.parent == known.parent


def _is_born(known: _Known, node: str, token: int) -> bool:
    return known.state is JobState.RUNNING and known.node == node and known.token == token
