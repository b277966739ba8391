"""What a replay or a purge would meet: a dry run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.job import JobRecord, JobState
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.jobs import FailureGroup, JobReader
    from backburner.ports.nodes import NodeStore

__all__ = ["READ", "Survey", "survey"]

#: Letters that are read one by one; of more than these, groups are counted.
READ: Final = 1_000
#: Groups that are counted.
_GROUPS: Final = 1_000
#: Letters shown as a sample.
_SAMPLE: Final = 5


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, counted. Instants are microseconds since 1970 UTC."""

    now: int
    #: How many are meant.
    letters: int
    #: How many there are of each way to end: ``failed`` (out of attempts), ``rejected``, ``crashed`` (its process died
    #: under it: what it did until then is unknown), ``other``. Of many, as the newest of each cause ended.
    ends: dict[str, int]
    kinds: dict[str, int]
    #: Those of the kinds that no living node knows.
    unknown: tuple[str, ...]
    #: How many causes, by fingerprint.
    causes: int
    #: When the first and the last of them died; None without any.
    oldest: int | None
    newest: int | None
    #: The newest few, by id.
    sample: tuple[JobRecord, ...]
    #: Everything above is of every letter meant: not so of the newest few thousand of more that match, or of more than
    #: a thousand causes.
    exact: bool = True


async def survey(
    reader: JobReader, nodes: NodeStore, where: JobFilter, ids: Sequence[str] = (), limit: int | None = None
) -> Survey:
    """Count the letters that match, or those of these ids; the newest ``limit``. Changes nothing."""
    if ids:
        page = await reader.get(ids)
        jobs = [job for job in page.jobs if job.state is JobState.DEAD]
        matching, now = len(jobs), page.now
    else:
        matching = (await reader.count(where)).get(Shown.DEAD, 0)
        read = READ if limit is None else min(limit, READ)
        found = await reader.find(where, limit=read)
        jobs, now = list(found.jobs), found.now
    letters = matching if limit is None else min(limit, matching)
    jobs = sorted(jobs, key=lambda job: job.id, reverse=True)[:letters]
    kinds: Counter[str]
    if len(jobs) >= letters:
        kinds, ends, causes, moments = _of_letters(jobs)
        exact = True
    else:
        groups = (await reader.groups(where, limit=_GROUPS)).groups
        kinds, ends, causes, moments = _of_groups(groups)
        exact = letters == matching and causes < _GROUPS
    known = {kind for node in await nodes.find() if node.alive for kind in node.kinds}
    return Survey(
        now=now,
        letters=letters,
        ends=dict(ends.most_common()),
        kinds=dict(kinds.most_common()),
        unknown=tuple(sorted(kinds.keys() - known)),
        causes=causes,
        oldest=min(moments, default=None),
        newest=max(moments, default=None),
        sample=tuple(jobs[:_SAMPLE]),
        exact=exact,
    )


_Counts = tuple[Counter[str], Counter[str], int, list[int]]


def _of_letters(jobs: Sequence[JobRecord]) -> _Counts:
    kinds = Counter(job.kind for job in jobs)
    ends = Counter(_end(job.reason) for job in jobs)
    return kinds, ends, len({job.fingerprint for job in jobs}), [job.ended_at or 0 for job in jobs]


def _of_groups(groups: Sequence[FailureGroup]) -> _Counts:
    kinds, ends = Counter[str](), Counter[str]()
    for group in groups:
        kinds.update(group.kinds)
        ends[_end(group.reason)] += group.count
    return kinds, ends, len(groups), [moment for group in groups for moment in (group.first, group.last)]


def _end(reason: str | None) -> str:
    """Return the way to end of a reason that the engine gave."""
    match (reason or "").partition(":")[0]:
        case "exhausted":
            return "failed"
        case "rejected":
            return "rejected"
        case "poison":
            return "crashed"
        case _:
            return "other"
