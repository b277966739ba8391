"""Why a job waits: reads what may hold it back, and has it put in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import JobNotFound
from backburner.jobs.reasons import BreakerView, Facts, Reason, reasons
from backburner.model.job import SUSPECT_CRASHES, SUSPECT_GATE, JobState
from backburner.model.lane import limit_of
from backburner.model.query import JobFilter, Shown
from backburner.ports.limits import Lanes
from backburner.resilience import breaker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from backburner.model.job import JobRecord
    from backburner.model.lane import LimitRecord
    from backburner.model.node import NodeRecord
    from backburner.ports.backend import Backend

__all__ = ["Explainer"]

#: Runs of a node among which suspects are looked for.
_LOOK = 1000


class Explainer:
    """Needs a store alone: no app's code, and no right to write."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def why(self, job_id: str) -> tuple[Reason, ...]:
        """Return what a job waits for; raises `JobNotFound`."""
        page = await self._backend.reader.get([job_id])
        if not page.jobs:
            raise JobNotFound(f"there is no job {job_id}: there never was, or its retention has passed", job_id=job_id)
        return await self.explain(page.jobs[0], page.now)

    async def explain(self, job: JobRecord, now: int) -> tuple[Reason, ...]:
        """Return what a job waits for, as it was read at the store's ``now``."""
        if job.state is not JobState.PENDING:
            return reasons(Facts(now=now, job=job))
        backend = self._backend
        queues = {queue.name: queue for queue in await backend.queues.list()}
        kinds = {kind.name: kind for kind in await backend.kinds.list()}
        nodes = await backend.nodes.find()
        serving = [node for node in nodes if node.alive and job.queue in node.queues]
        names = {limit_of(lane) for lane in job.lanes}
        lanes = await backend.limits.lanes(job.lanes) if names else Lanes(now, ())
        return reasons(
            Facts(
                # Permits are told of by their own answer's now.
                now=max(now, lanes.now),
                job=job,
                queue=queues.get(job.queue),
                kind=kinds.get(job.kind),
                nodes=nodes,
                lanes=lanes.lanes,
                limits=await self._limits(names),
                breakers=await self._breakers(names),
                suspects=await self._suspects(serving) if job.gate == SUSPECT_GATE else (),
                running=await self._running(job.queue, serving) if job.due_at <= now else {},
            )
        )

    async def _limits(self, names: Collection[str]) -> Mapping[str, LimitRecord]:
        if not names:
            return {}
        return {record.name: record for record in await self._backend.limits.list() if record.name in names}

    async def _breakers(self, names: Collection[str]) -> Mapping[str, BreakerView]:
        found: dict[str, BreakerView] = {}
        for name in names:
            if name.startswith("breaker:"):
                for cell in (await self._backend.cells.load(name)).cells:
                    if cell.name == name:
                        state = breaker.decode(cell.value)
                        found[name] = BreakerView(state.phase, state.since, state.until)
        return found

    async def _suspects(self, nodes: Sequence[NodeRecord]) -> tuple[JobRecord, ...]:
        """Return jobs that these nodes run now and ran in two crashes, among the newest of each."""
        found: list[JobRecord] = []
        for node in nodes:
            page = await self._backend.reader.find(_runs(node), limit=_LOOK)
            found += [job for job in page.jobs if job.crashes >= SUSPECT_CRASHES]
        return tuple(found)

    async def _running(self, queue: str, nodes: Sequence[NodeRecord]) -> Mapping[str, int]:
        """Return how many jobs of a queue each of these nodes runs."""
        counts = {node.id: await self._backend.reader.count(_runs(node, queue)) for node in nodes}
        return {node: sum(count.values()) for node, count in counts.items()}


def _runs(node: NodeRecord, *queues: str) -> JobFilter:
    return JobFilter(node=node.id, queues=queues, states=(Shown.RUNNING,))
