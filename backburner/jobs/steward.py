"""Tidies up, one bounded step a beat: takes over what dead nodes ran, ends what expired, prunes what was kept enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.jobs import outcome
from backburner.jobs.loop import Loop
from backburner.model.job import Cause, JobState
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.settler import Settle
    from backburner.ports.jobs import JobAdmin, JobReader, JobStore, Keep

__all__ = ["Steward"]

#: Jobs a step takes over, jobs it prunes, and jobs whose key came free with time that it lets through.
RECOVER = 500
PRUNE = 1_000
RELEASE = 500


class Steward:
    """Every node has one; the store sees to it that each job is handed to one of them only."""

    def __init__(
        self,
        store: JobStore,
        admin: JobAdmin,
        reader: JobReader,
        *,
        node: Identity,
        keep: Keep,
        interval: float,
        running: Callable[[], Mapping[str, int]],
        settle: Settle,
        released: Callable[[], None],
        kit: Kit,
    ) -> None:
        self._store = store
        self._admin = admin
        self._node = node
        self._keep = keep
        self._interval = interval
        self._running = running
        self._settle = settle
        self._released = released
        self._reader = reader
        self._strays: dict[str, int] = {}
        self._listener = kit.listener
        self._loop = Loop("steward", self._step, kit=kit)

    def start(self) -> None:
        """Begin, with a first step at once: a crash before this start may have left jobs behind."""
        self._loop.start()
        self._loop.wake()

    def wake(self) -> None:
        """Look for dead nodes soon."""
        self._loop.wake()

    def stray(self, job_id: str, token: int) -> None:
        """Give back a claim that the store says this node holds, and that it does not run."""
        self._strays[job_id] = token
        self._loop.wake()

    async def stop(self) -> None:
        """End."""
        await self._loop.stop()

    async def _step(self) -> float:
        recovered = await self._recover()
        await self._give_back_strays()
        pruned = await self._admin.prune(self._keep, PRUNE)
        released = await self._admin.release(RELEASE)
        if released:
            self._released()
        return 0 if recovered == RECOVER or pruned >= PRUNE or released == RELEASE else self._interval

    async def _recover(self) -> int:
        found = (await self._store.recover(self._node.id, RECOVER)).jobs
        for job in found:
            if job.cause is Cause.LAPSED:
                self._listener(
                    Signal.JOB_LAPSED,
                    id=job.claim.id,
                    kind=job.claim.kind,
                    node=job.node,
                    crashes=job.claim.crashes + 1,
                )
            self._settle(job.claim, outcome.recovered(job))
        return len(found)

    async def _give_back_strays(self) -> None:
        """Their answers were lost: nobody ran them, so nothing is counted. One that came late is running by now."""
        if not self._strays:
            return
        records = (await self._reader.get(tuple(self._strays))).jobs
        running = self._running()
        for record in records:
            token = self._strays[record.id]
            if record.state is JobState.RUNNING and record.token == token != running.get(record.id):
                self._settle(record, outcome.unanswered(record))
        self._strays.clear()
