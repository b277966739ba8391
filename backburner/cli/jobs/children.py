"""The children of a job."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.filters import pages
from backburner.cli.jobs.record import state_of
from backburner.cli.render import counted
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import JobRecord
    from backburner.ports.jobs import JobReader

__all__ = ["Children", "children_of"]

#: Children that are read.
_READ = 5_000
#: Children that a person is shown one by one.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Children:
    """The children found, oldest first, as seen from the store's now."""

    jobs: Sequence[JobRecord]
    now: int
    #: Nothing was left out for its number.
    whole: bool

    def fields(self, *, brief: bool) -> list[tuple[str, ...]]:
        """Return a line's fields for each, after a count by state for a person, who is shown the first few."""
        some = self.jobs[:_SHOWN] if brief else self.jobs
        each: list[tuple[str, ...]] = [("child", job.id, job.kind, state_of(job, self.now)) for job in some]
        if not brief or not each:
            return each
        states = Counter[str](state_of(job, self.now) for job in self.jobs)
        shown = f", the first {_SHOWN}:" if len(self.jobs) > _SHOWN else ""
        return [("children", f"{counted(states)}{shown}"), *each]

    def value(self) -> list[object]:
        """Return what `--json` writes of each."""
        return [{"id": job.id, "kind": job.kind, "state": state_of(job, self.now)} for job in self.jobs]


async def children_of(reader: JobReader, parent: JobRecord) -> Children:
    """Find the jobs that were stored in a job's runs, those with the largest 5,000 ids if there are more."""
    found: list[JobRecord] = []
    now, whole = 0, True
    async for page in pages(reader, JobFilter(parents=(parent.id,)), _READ):
        now, whole = page.now, page.after is None
        found += page.jobs
    return Children(sorted(found, key=lambda job: (job.created_at, job.id)), now, whole)
