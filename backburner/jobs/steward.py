"""Tidies up, one bounded step a beat: takes over what dead nodes ran, ends what expired, prunes what was kept enough.

Where leases end by time a node judges others only once its own beats have succeeded for a whole lease. What expired is
ended by the same verb of the store, so it waits for that too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.jobs import outcome
from backburner.jobs.loop import Loop
from backburner.model.job import Cause, JobState
from backburner.model.query import JobFilter, Shown
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.settler import Settle
    from backburner.ports.jobs import JobAdmin, JobReader, JobStore, Keep

__all__ = ["Steward"]

#: Jobs a step takes over, jobs it prunes, and jobs whose key came free with time, or lanes, that it lets through.
RECOVER = 500
PRUNE = 1_000
RELEASE = 500
#: Looks for who may come in after a run has ended in its own transaction, and seconds to the second: longer than a claim takes.
LOOKS = 2
AGAIN = 0.5
#: Seconds that make no difference: a timer may be early by less.
LEAST = 0.001


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
        pending: Callable[[], Collection[tuple[str, int]]],
        novitiate: Callable[[], float],
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
        self._pending = pending
        self._novitiate = novitiate
        self._settle = settle
        self._released = released
        self._reader = reader
        #: How often it is still to look who may come in, beside its whole steps.
        self._looks = 0
        self._strays: dict[str, int] = {}
        #: Ids that this node had before.
        self._former: list[str] = []
        self._clock = kit.clock
        #: When a whole step is due, on the clock's monotonic time; any other looks for the dead and the strays alone.
        self._due_at = kit.clock.monotonic()
        self._listener = kit.listener
        self._loop = Loop("steward", self._step, kit=kit)

    def start(self) -> None:
        """Begin, with a first step at once: a crash before this start may have left jobs behind."""
        self._loop.start()
        self._loop.wake()

    def wake(self) -> None:
        """Look for dead nodes soon."""
        self._loop.wake()

    def tidy(self) -> None:
        """Take a whole step soon, whenever the next was due."""
        self._due_at = self._clock.monotonic()
        self._loop.wake()

    def freed(self) -> None:
        """Look soon for who may come in: a run ended in its own transaction, which lets nobody in itself.

        And once more a moment later: a claim that was under way may have turned a job away after the first look, for want
        of the room that the transaction was about to make.
        """
        self._looks = LOOKS
        self._loop.wake()

    def stray(self, job_id: str, token: int) -> None:
        """Give back a claim that the store says this node holds, and that it does not run."""
        self._strays[job_id] = token
        self._loop.wake()

    def inherit(self, nodes: Sequence[str]) -> None:
        """Give back what the store says former ids of this node hold, and nobody runs: answers that were lost."""
        self._former += nodes
        self._strays.clear()
        self._loop.wake()
        # Others judge these ids soon: that leaves no time for the pause after a step that failed.
        self._loop.retry()

    async def stop(self) -> None:
        """End."""
        await self._loop.stop()

    async def _step(self) -> float:
        await self._give_back_former()
        await self._give_back_strays()
        novitiate = self._novitiate()
        recovered = 0 if novitiate > 0 else await self._recover()
        if self._clock.monotonic() > self._due_at - LEAST:
            pruned = await self._admin.prune(self._keep, PRUNE)
            if await self._release() < RELEASE and pruned < PRUNE:
                self._due_at = self._clock.monotonic() + self._interval
        elif self._looks:
            await self._release()
        if recovered == RECOVER:
            return 0
        due = max(0.0, self._due_at - self._clock.monotonic())
        if self._looks:
            due = min(due, AGAIN)
        return min(due, novitiate) if novitiate > 0 else due

    async def _release(self) -> int:
        self._looks = max(0, self._looks - 1)
        released = await self._admin.release(RELEASE)
        if released:
            self._released()
        return released

    async def _recover(self) -> int:
        node = self._node.id
        found = (await self._store.recover(node, RECOVER)).jobs
        for job in found:
            self._node.assign(job.claim.id, job.claim.token, node)
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
        """Their answers were lost: nobody ran them, so nothing is counted. One that came late runs, or has ended, by now."""
        # Taken out: more may come meanwhile, and the next beat tells again of those that are not given back.
        strays, self._strays = self._strays, {}
        if not strays:
            return
        records = (await self._reader.get(tuple(strays))).jobs
        held = self._held()
        for record in records:
            claim = record.id, record.token
            if record.state is JobState.RUNNING and claim in strays.items() and claim not in held:
                self._settle(record, outcome.unanswered(record))

    async def _give_back_former(self) -> None:
        """As with strays: what still runs here, or ended here, is written by its own settlement."""
        while self._former:
            node = self._former[0]
            where = JobFilter(states=(Shown.RUNNING,), node=node)
            after = None
            while True:
                page = await self._reader.find(where, limit=RECOVER, after=after)
                held = self._held()
                for record in page.jobs:
                    if (record.id, record.token) not in held:
                        self._node.assign(record.id, record.token, node)
                        self._settle(record, outcome.unanswered(record))
                after = page.after
                if after is None:
                    break
            del self._former[0]

    def _held(self) -> set[tuple[str, int]]:
        """Return the claims, by job and token, that run here or have ended and are on their way to the store."""
        return {*self._running().items(), *self._pending()}
