"""The one line of what comes in, and what somebody's open transaction keeps out of it for a while."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from backburner.jobs.aside import Aside
from backburner.jobs.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.jobs.batch import Cancellation, Group
    from backburner.jobs.kit import Kit

__all__ = ["Line"]

#: Jobs in one write. A larger batch gains nothing and delays those behind it.
BATCH = 2_000


class Line:
    """First in, first out, in batches; no cancellation overtakes its job, wherever that stands."""

    def __init__(self, kit: Kit) -> None:
        self._batches: deque[Batch] = deque()
        self._busy_groups: Aside[Group] = Aside(kit)
        self._busy_cancellations: Aside[Cancellation] = Aside(kit)
        #: What is to be written now.
        self.leaving: Batch | None = None
        #: Its groups are on their way.
        self.writing = False

    def __bool__(self) -> bool:
        """Tell whether anything waits in line; what is set aside does not."""
        return bool(self._batches)

    @property
    def empty(self) -> bool:
        """Whether nothing is left to write, now or later."""
        return not (self._batches or self.leaving or self._busy_groups or self._busy_cancellations)

    def add(self, group: Group) -> None:
        """Line a group up, behind every cancellation that came before."""
        batch = self._last(after_cancellations=False)
        batch.groups.append(group)
        batch.jobs += len(group.jobs)

    def add_cancellation(self, cancellation: Cancellation) -> None:
        """Line a cancellation up, behind every group that came before."""
        self._last(after_cancellations=True).cancellations.append(cancellation)

    def next(self) -> Batch | None:
        """Take the first batch, with what was set aside and is due: that came before; None when nothing is to be done."""
        groups, cancellations = self._busy_groups.due(), self._busy_cancellations.due()
        if not self._batches and not groups and not cancellations:
            return None
        batch = self._batches.popleft() if self._batches else Batch()
        if groups or cancellations:
            batch.groups = groups + batch.groups
            batch.cancellations = cancellations + batch.cancellations
        return batch

    def wait(self) -> float | None:
        """Return the seconds until there is something to write; None when nothing waits."""
        if self._batches:
            return 0
        waits = (self._busy_groups.wait(), self._busy_cancellations.wait())
        return min((each for each in waits if each is not None), default=None)

    def set_aside(self, group: Group) -> None:
        """Take a group out of the line for a while: somebody's open transaction holds what it wants."""
        self._busy_groups.put(group)

    def set_cancellation_aside(self, cancellation: Cancellation) -> None:
        """Take a cancellation out of the line for a while: some of its jobs are locked."""
        self._busy_cancellations.put(cancellation)

    def without_early(self, cancellations: list[Cancellation]) -> list[Cancellation]:
        """Set those aside whose jobs are set aside themselves; return the others."""
        if not self._busy_groups:
            return cancellations
        ids = {job.id for group in self._busy_groups.items if not group.future.done() for job in group.jobs}
        early = [each for each in cancellations if not ids.isdisjoint(each.open)]
        for each in early:
            self._busy_cancellations.put(each)
        return [each for each in cancellations if each not in early]

    def groups(self) -> Iterator[Group]:
        """Go through the groups that wait; those that are being written do not."""
        for batch in self._waiting():
            if batch is not self.leaving or not self.writing:
                yield from batch.groups
        yield from self._busy_groups.items

    def cancellations(self) -> Iterator[Cancellation]:
        """Go through the cancellations that wait."""
        for batch in self._waiting():
            yield from batch.cancellations
        yield from self._busy_cancellations.items

    def _last(self, *, after_cancellations: bool) -> Batch:
        if self._batches:
            last = self._batches[-1]
            if last.jobs < BATCH and (after_cancellations or not last.cancellations):
                return last
        batch = Batch()
        self._batches.append(batch)
        return batch

    def _waiting(self) -> Iterator[Batch]:
        if self.leaving is not None:
            yield self.leaving
        yield from self._batches
