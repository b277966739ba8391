"""The running side of an engine: a node that claims, runs, settles, and tidies up after the dead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.jobs.claimer import Claimer
from backburner.jobs.desk import Desk
from backburner.jobs.executor import Executor
from backburner.jobs.guards import Guards
from backburner.jobs.keeper import BEATS
from backburner.jobs.midwife import Midwife
from backburner.jobs.performer import Performer
from backburner.jobs.presence import Presence
from backburner.jobs.roll import Roll
from backburner.jobs.run import Why
from backburner.jobs.settler import Settler
from backburner.jobs.slots import Slots
from backburner.jobs.steward import Steward
from backburner.jobs.threads import Threads
from backburner.jobs.witness import Witness
from backburner.model.clock import SECOND
from backburner.ports.backend import Hint
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.jobs.executor import Around
    from backburner.jobs.handles import Handles
    from backburner.jobs.hints import Hints
    from backburner.jobs.identity import Identity
    from backburner.jobs.joined import Joined
    from backburner.jobs.keeper import LeaseKeeper
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
        schedules: Callable[[], tuple[str, ...]],
        node: Identity,
        plan: Plan,
        held: bool = False,
        kit: Kit,
    ) -> None:
        #: It takes work only between `release` and `hold`.
        self._on_hold = held
        self._backend = backend
        self._kinds = kinds
        self._node = node
        self._plan = plan
        self._kit = kit
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
        self._guards = Guards(
            kinds.policies,
            backend.limits,
            backend.cells,
            interval=plan.lease / SECOND / BEATS,
            turned=lambda: hints.tell(Hint.CONTROL, here=True),
            kit=kit,
        )
        self._executor = Executor(
            kinds,
            slots,
            desk,
            self._performer,
            self._guards,
            settle=settle,
            witness=self.witness,
            freed=self._freed,
            opened=lambda: self._steward.freed(),  # noqa: PLW0108 - it is made below
            expect=self._expect,
            around=plan.around,
            retry=plan.retry,
            timeout=plan.timeout,
            result_limit=plan.result_limit,
            kit=kit,
        )
        self._claimer = Claimer(
            kinds, slots, self._executor, node=node, ask=self._settler.wake, claimed=hints.wrote, kit=kit
        )
        self._settler.asker = self._claimer
        self.midwife = Midwife(slots, self._executor, self._claimer, node=node, kit=kit)
        self._steward = Steward(
            backend.jobs,
            backend.admin,
            backend.reader,
            node=node,
            keep=plan.keep,
            interval=plan.lease / SECOND / BEATS,
            running=self._executor.running,
            pending=self._settler.claims,
            novitiate=lambda: self._presence.novitiate,
            settle=settle,
            released=lambda: hints.tell(Hint.JOBS, here=True),
            kit=kit,
        )
        self._roll = Roll(
            self._executor,
            node=node,
            pending=lambda: self._settler.pending,
            stray=self._steward.stray,
            patience=plan.lease / SECOND / BEATS / 2,
            kit=kit,
        )
        self._presence = Presence(
            backend,
            kinds,
            schedules=schedules,
            node=node,
            queues=plan.queues,
            lease=plan.lease,
            stall_limit=plan.stall_limit,
            running=self._executor.running,
            held=self._held,
            beaten=self._beaten,
            fell=self._fell,
            returned=self._returned,
            kit=kit,
        )
        self._grace_over = asyncio.Event()
        self._hurried = False
        #: It takes no more work.
        self.draining = False

    async def start(self) -> None:
        """Publish the node and begin to work."""
        self._kinds.changed.add(self._guards.wake)
        await self._guards.start()
        await self._presence.start()
        self._settler.start()
        self._steward.start()
        self._take_work()

    def release(self) -> None:
        """Take work, though it was made to be held."""
        self._on_hold = False
        self._take_work()

    def hold(self) -> None:
        """Take no work until it is released; what runs goes on."""
        self._on_hold = True
        self._claimer.stop()

    def _take_work(self) -> None:
        if not (self._on_hold or self.draining or self._presence.lost):
            self._claimer.start()

    def tidy(self) -> None:
        """Recover, expire and prune soon, whenever that was due."""
        self._steward.tidy()

    @property
    def busy(self) -> bool:
        """Whether anything runs that does not wait for another job, is about to, or has ended and is not settled."""
        return self._slots.taken > 0 or bool(self._settler.pending) or (self._claimer.open and not self._claimer.idle)

    async def stop(self) -> None:
        """End, losing nothing: runs may finish within the grace, then they are interrupted and given back."""
        self._claimer.stop()
        self._executor.end_waiting()
        await self._presence.settle_down()
        await self._steward.stop()
        if not await self._idle_within(self._plan.grace / SECOND, self._grace_over):
            self._executor.end_all(Why.SHUTDOWN)
            if self._hurried:
                self._executor.kill()
            await self._idle_within(LAST_WRITES, asyncio.Event())
        self._executor.abandon()
        await self._performer.close()
        unwritten = await self._settler.close(LAST_WRITES)
        self._kinds.changed.discard(self._guards.wake)
        await self._guards.stop()
        await self._presence.stop()
        self._executor.close()
        self._threads.close()
        if not unwritten:
            await self._presence.withdraw()

    async def drain(self) -> None:
        """Take no more work, and wait until nothing runs."""
        self._begin_to_drain()
        await self._slots.idle()

    def _begin_to_drain(self) -> None:
        if not self.draining:
            self.draining = True
            self._claimer.stop()
            self._presence.drain()
            self._kit.listener(Signal.NODE_DRAINING, node=self._node.id, runs=len(self._executor.runs))

    def changed(self) -> None:
        """Let the others know what this node's code declares by now."""
        self._presence.changed()

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
            self._guards.wake()
            self._presence.hurry()
        elif hint is Hint.LAPSE:
            self._steward.wake()

    @property
    def away(self) -> bool:
        """Whether the store was out of reach when a beat or a settlement was last tried, or its lease is lost."""
        return self._presence.away or self._settler.away

    @property
    def lost(self) -> bool:
        """Whether the node's lease is lost, and the node not back yet."""
        return self._presence.lost

    @property
    def keeper(self) -> LeaseKeeper:
        """Who beats for the node now."""
        return self._presence.keeper

    @property
    def beaten_at(self) -> float | None:
        """When the last beat that succeeded began, on the clock's monotonic time."""
        return self._presence.beaten_at

    def running(self) -> dict[tuple[str, str], int]:
        """Return how many runs are under way, by kind and queue."""
        counts: dict[tuple[str, str], int] = {}
        # As `Executor.running`: metrics may be collected in another thread.
        for run in tuple(self._executor.runs.values()):
            counts[run.kind, run.queue] = counts.get((run.kind, run.queue), 0) + 1
        return counts

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

    # ---- the lease -----------------------------------------------------------------------------------------------

    def _held(self) -> list[tuple[str, int]]:
        """Return what this node holds as far as it knows, by job and token."""
        return [*self._executor.running().items(), *self._settler.claims()]

    def _beaten(self, running: Mapping[str, int], beat: Beat) -> None:
        if beat.drain:
            self._begin_to_drain()
        if self._node.renewed:
            self._node.retain(self._held())
        self._roll.call(running, beat)

    def _fell(self) -> None:
        """End what runs: its lease is lost, so it may run elsewhere by now.

        Where leases end by time it may also not: then it counts as interrupted, should that be written before others
        take it over.
        """
        if self._backend.timed_leases:
            self._claimer.stop()
            self._executor.end_all(Why.FENCED)
        else:
            self._executor.end_all(Why.LOST)

    def _returned(self, fallen: Sequence[str]) -> None:
        """Work again, under a new id; first of all what was interrupted is to be written, before others judge it."""
        self._settler.retry()
        self._guards.returned()
        if self._backend.timed_leases:
            self._steward.inherit(fallen)
            self._take_work()
        else:
            self._claimer.wake()
