"""The running side of an engine: a node that claims, runs, settles, and tidies up after the dead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.errors import StoreError
from backburner.jobs.claimer import Claimer
from backburner.jobs.desk import Desk
from backburner.jobs.executor import Executor
from backburner.jobs.keeper import BEATS, LeaseKeeper
from backburner.jobs.loop import Loop
from backburner.jobs.midwife import Midwife
from backburner.jobs.performer import Performer
from backburner.jobs.run import Why
from backburner.jobs.settler import Settler
from backburner.jobs.slots import Slots
from backburner.jobs.steward import Steward
from backburner.jobs.threads import Threads
from backburner.jobs.witness import Witness
from backburner.model.clock import SECOND
from backburner.model.node import NodeRecord
from backburner.ports.backend import Hint
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.jobs.executor import Around
    from backburner.jobs.handles import Handles
    from backburner.jobs.hints import Hints
    from backburner.jobs.identity import Identity
    from backburner.jobs.joined import Joined
    from backburner.jobs.kit import Kit
    from backburner.jobs.order import Orders
    from backburner.jobs.registry import Kinds
    from backburner.ports.backend import Backend
    from backburner.ports.jobs import Keep
    from backburner.ports.nodes import Beat
    from backburner.resilience.retry import RetryPolicy

__all__ = ["Plan", "Worker"]

#: Seconds, after the grace, for interrupted runs to end, and again for their ends to be written.
LAST_WRITES = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a node runs; durations in microseconds."""

    queues: Mapping[str, int]
    slots: int
    threads: int
    processes: int
    around: Sequence[Around]
    retry: RetryPolicy
    #: 0 is no limit.
    timeout: int
    lease: int
    stall_limit: int
    grace: int
    keep: Keep
    #: Bytes.
    argument_limit: int
    result_limit: int


class Worker:
    """One node: owns the loops of the running side, and starts and stops them in order."""

    def __init__(
        self,
        backend: Backend,
        kinds: Kinds,
        handles: Handles,
        hints: Hints,
        *,
        orders: Orders,
        joined: Joined,
        node: Identity,
        plan: Plan,
        kit: Kit,
    ) -> None:
        self._backend = backend
        self._kinds = kinds
        self._hints = hints
        self._node = node
        self._plan = plan
        self._kit = kit
        self._started_at = kit.clock.now()
        #: Claims that the store says this node holds and that it does not run, and since when that is known.
        self._strays: dict[str, float] = {}
        self._threads = Threads(plan.threads)
        self._slots = slots = Slots(plan.queues, plan.slots)
        self.witness = Witness(handles, hints, self._expect, kit)
        self._settler = Settler(backend.jobs, node=node, witness=self.witness, kit=kit)
        settle = self._settler.settle
        desk = Desk(
            backend,
            orders,
            joined,
            kinds.home,
            slots=slots,
            threads=self._threads,
            node=node,
            note=self._settler.note,
            freed=lambda: self._freed(suspect=False),
            limit=plan.result_limit,
            kit=kit,
        )
        self._performer = Performer(
            self._threads,
            desk,
            kinds.home,
            processes=plan.processes,
            argument_limit=plan.argument_limit,
            result_limit=plan.result_limit,
            kit=kit,
        )
        self._executor = Executor(
            kinds,
            slots,
            desk,
            self._performer,
            settle=settle,
            witness=self.witness,
            freed=self._freed,
            expect=self._expect,
            around=plan.around,
            retry=plan.retry,
            timeout=plan.timeout,
            result_limit=plan.result_limit,
            kit=kit,
        )
        self._claimer = Claimer(kinds, slots, self._executor, node=node, ask=self._settler.wake, kit=kit)
        self._settler.asker = self._claimer
        self.midwife = Midwife(slots, self._executor, self._claimer, kit)
        self._steward = Steward(
            backend.jobs,
            backend.admin,
            backend.reader,
            node=node,
            keep=plan.keep,
            interval=plan.lease / SECOND / BEATS,
            running=self._executor.running,
            settle=settle,
            released=lambda: hints.tell(Hint.JOBS),
            kit=kit,
        )
        self._keeper = self._new_keeper()
        #: The id whose lease was lost.
        self._fallen = ""
        self._grace_over = asyncio.Event()
        self._hurried = False
        #: It takes no more work.
        self.draining = False
        self._presence = Loop("presence", self._come_back, kit=kit)

    async def start(self) -> None:
        """Publish the node and begin to work."""
        await self._publish()
        self._kinds.changed = self._presence.wake
        self._presence.start()
        self._settler.start()
        self._keeper.start()
        self._steward.start()
        self._claimer.start()

    async def stop(self) -> None:
        """End, losing nothing: runs may finish within the grace, then they are interrupted and given back."""
        self._kinds.changed = None
        self._claimer.stop()
        self._executor.end_waiting()
        await self._presence.stop()
        await self._steward.stop()
        if not await self._idle_within(self._plan.grace / SECOND, self._grace_over):
            self._executor.end_all(Why.SHUTDOWN)
            if self._hurried:
                self._executor.kill()
            await self._idle_within(LAST_WRITES, asyncio.Event())
        self._executor.abandon()
        await self._performer.close()
        unwritten = await self._settler.close(LAST_WRITES)
        await self._keeper.stop()
        self._executor.close()
        self._threads.close()
        if not unwritten:
            await self._withdraw()

    async def drain(self) -> None:
        """Take no more work, and wait until nothing runs."""
        self._begin_to_drain()
        await self._slots.idle()

    def _begin_to_drain(self) -> None:
        if not self.draining:
            self.draining = True
            self._claimer.stop()
            self._presence.wake()
            self._kit.listener(Signal.NODE_DRAINING, node=self._node.id, runs=len(self._executor.runs))

    def hurry(self) -> None:
        """Let a stop, under way or still to come, wait for no grace, nor for a process to end by itself."""
        self._hurried = True
        self._grace_over.set()
        self._executor.kill()

    def heard(self, hint: Hint) -> None:
        """Take a hint from elsewhere."""
        if hint is Hint.JOBS:
            self._claimer.wake()
        elif hint is Hint.CONTROL:
            self._claimer.wake()
            self._keeper.hurry()
        else:
            self._steward.wake()

    # ---- the parts' wiring -------------------------------------------------------------------------------------

    def _freed(self, suspect: bool) -> None:  # noqa: FBT001 - the executor's one word
        self._claimer.freed(suspect=suspect)

    def _expect(self, queue: str, delay: int) -> None:
        self._claimer.expect(queue, delay)

    async def _idle_within(self, seconds: float, over: asyncio.Event) -> bool:
        """Wait for the last run to end, until it is over; return whether it did in time."""
        timer = self._kit.clock.call_later(seconds, over.set)
        waits = {asyncio.ensure_future(self._slots.idle()), asyncio.ensure_future(over.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
        return not self._slots.busy

    # ---- presence ----------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        record = NodeRecord(
            id=self._node.id,
            host=self._node.host,
            pid=self._node.pid,
            started_at=self._started_at,
            queues=dict(self._plan.queues),
            kinds=tuple(sorted(self._kinds.names)),
        )
        await self._backend.nodes.publish(record, self._plan.lease)

    async def _withdraw(self) -> None:
        """Leave the list; a node that cannot, or that still holds claims, is found dead there and tidied up."""
        try:
            await self._backend.nodes.withdraw(self._node.id)
        except StoreError as error:
            self._kit.listener(Signal.STORE_WAITING, error=error, loop="presence", failures=1)

    async def _come_back(self) -> None:
        """Publish what changed; after a lost lease, a new node."""
        if self._keeper.lost:
            await self._keeper.stop()
            if self._node.id == self._fallen:
                # Once only: a try whose answer was lost may have entered the new id, which must not be left there.
                self._node.renew()
            await self._publish()
            self._keeper = self._new_keeper()
            self._keeper.start()
            self._claimer.wake()
        else:
            await self._publish()
        if self.draining:
            # So that whoever looks at the nodes sees it; a new id starts without it.
            await self._backend.nodes.drain(self._node.id)

    def _new_keeper(self) -> LeaseKeeper:
        return LeaseKeeper(
            self._backend,
            node=self._node,
            lease=self._plan.lease,
            stall_limit=self._plan.stall_limit / SECOND,
            running=self._executor.running,
            beaten=self._beaten,
            fell=self._fell,
            kit=self._kit,
        )

    def _fell(self) -> None:
        """Drop what runs: its lease is lost, so it may run elsewhere by now."""
        self._kit.listener(Signal.NODE_STALLED, node=self._node.id, runs=len(self._executor.runs))
        self._executor.end_all(Why.LOST)
        self._fallen = self._node.id
        self._presence.wake()

    def _beaten(self, running: Mapping[str, int], beat: Beat) -> None:
        """Hold what ran when the beat began against what the store says: lost claims, cancelled ones, strays."""
        if beat.drain:
            self._begin_to_drain()
        held = {claim.id: claim for claim in beat.claims}
        for job_id, token in running.items():
            run = self._executor.runs.get(job_id)
            if run is None or run.token != token:
                continue
            claim = held.get(job_id)
            if claim is None or claim.token != token:
                self._executor.end(run, Why.LOST)
            elif claim.cancel:
                self._executor.end(run, Why.CANCEL)
        self._look_for_strays(beat)

    def _look_for_strays(self, beat: Beat) -> None:
        """Give back claims whose answers were lost, once they are known as such for half a beat."""
        now = self._kit.clock.monotonic()
        pending = self._settler.pending
        strays = {}
        for claim in beat.claims:
            if claim.id in self._executor.runs or claim.id in pending:
                continue
            since = strays[claim.id] = self._strays.get(claim.id, now)
            if now - since >= self._plan.lease / SECOND / BEATS / 2:
                self._steward.stray(claim.id, claim.token)
        self._strays = strays
