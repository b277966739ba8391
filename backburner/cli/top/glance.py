"""Reads what a live view shows, and takes no more than a tenth of the time for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from backburner.cli.top.state import Seen
from backburner.errors import StoreUnavailable
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from backburner.observability.overlooking import Overseer
from backburner.observability.overview import Overview
from backburner.observability.paced import Paced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.controls import Controls
    from backburner.model.clock import Clock
    from backburner.model.job import JobRecord
    from backburner.observability.paced import Reading

__all__ = ["Glance"]

T = TypeVar("T")

#: The share of the time that reading takes, and seconds after which a read is given up.
_SHARE, _DEADLINE = 0.1, 30.0
#: Nodes whose runs are shown, jobs of each, and failures of each sort.
_NODES, _RUNS, _FAILURES = 50, 50, 20
#: Microseconds since the death of the oldest letter that is shown.
_RECENT: Final = 24 * 3600 * 1_000_000


class Glance:
    """One store's batch of reads. Each is made ``every`` seconds, or less often where it takes long."""

    def __init__(self, controls: Controls, *, every: float, clock: Clock) -> None:
        self._reader = controls.backend.reader
        overseer = Overseer(controls.backend, breakers=controls.breakers.list, clock=clock)
        self._overview = Paced(overseer.look, every=every, share=_SHARE, deadline=_DEADLINE, clock=clock)
        self._runs = Paced(self._read_runs, every=every, share=_SHARE, deadline=_DEADLINE, clock=clock)
        self._failures = Paced(self._read_failures, every=every, share=_SHARE, deadline=_DEADLINE, clock=clock)

    async def take(self) -> Seen:
        """Return what is there; raises what the store raises, but for failures, which may be missing."""
        overview = _value(await self._overview.get())
        running = _value(await self._runs.get())
        failures = await self._failures.get()
        shown = failures.value or ()
        failed = sum(queue.holds.retrying for queue in overview.queues)
        failed += 0 if overview.letters is None else overview.letters.recent
        return Seen(
            overview=overview,
            running=running,
            # One that began or ended between the reads may be missing from either.
            running_total=max(len(running), sum(queue.holds.running for queue in overview.queues)),
            failures=shown,
            failures_total=max(len(shown), failed),
            unread="" if failures.error is None else str(failures.error),
        )

    async def _read_runs(self) -> Sequence[JobRecord]:
        """Return what runs: by node, of which every store has an index."""
        overview = self._seen()
        found: list[JobRecord] = []
        if any(queue.holds.running for queue in overview.queues):
            for node in overview.nodes[:_NODES]:
                where = JobFilter(node=node.id, states=(Shown.RUNNING,))
                found += (await self._reader.find(where, limit=_RUNS)).jobs
        return sorted(found, key=lambda job: (job.started_at or 0, job.id))

    async def _read_failures(self) -> Sequence[JobRecord]:
        overview = self._seen()
        found: list[JobRecord] = []
        if any(queue.holds.retrying for queue in overview.queues):
            found += (await self._reader.find(JobFilter(states=(Shown.RETRYING,)), limit=_FAILURES)).jobs
        if overview.letters is not None and overview.letters.recent:
            page = await self._reader.timings(JobState.DEAD, JobFilter(), within=_RECENT, limit=_FAILURES)
            found += (await self._reader.get([job.id for job in page.jobs])).jobs
        return sorted(found, key=lambda job: (-(job.ended_at or job.started_at or 0), job.id))

    def _seen(self) -> Overview:
        """Return the last overview, which is always read first."""
        last = self._overview.last
        return _value(last) if last is not None else Overview(address="", now=0, offset=0)


def _value(reading: Reading[T]) -> T:
    if isinstance(reading.error, TimeoutError):
        raise StoreUnavailable(f"reading took longer than {_DEADLINE:g} s and was given up") from reading.error
    if reading.error is not None:
        raise reading.error
    assert reading.value is not None  # noqa: S101 - it is this or the error
    return reading.value
