"""Guards: watch how runs end, and set the lanes of breakers and adaptive limits by it, together with other nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backburner.errors import StoreError
from backburner.jobs.account import class_of
from backburner.jobs.breakers import FAMILY
from backburner.jobs.loop import Loop
from backburner.jobs.signals import JobSignal, Retry
from backburner.jobs.watches import AdaptiveWatch, BreakerWatch, Watch
from backburner.model.clock import SECOND
from backburner.model.lane import name_of
from backburner.model.telling import tell
from backburner.ports.telemetry import Signal
from backburner.resilience.breaker import Breaker, Phase
from backburner.resilience.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner.jobs.kit import Kit
    from backburner.jobs.policies import Policies
    from backburner.model.clock import Timer
    from backburner.model.event import NewEvent
    from backburner.model.lane import Cell
    from backburner.ports.limits import Cells, CellStore, LimitStore

__all__ = ["Guards"]

#: Seconds between the end of a run and the write that tells other nodes of it: many travel together.
_FLUSH = 1.0
#: Looks at the shared state after which a breaker should long have probed, if there were anybody who names it.
_PATIENCE = 3


class Guards:
    """Declares what this node's jobs say of limits, and turns breakers and adaptive limits by how its runs end.

    What ended is added to what all nodes share, at most once a second, by comparing and setting; whoever's write turns a
    breaker declares its lane in the same step, and lets the others know. Until then, and while the store cannot be
    asked, a breaker has a twin that goes by what ended here, and holds back what this node has claimed.

    A breaker that is open, and that no code names any more, would hold back for ever what was stored under it: any node
    lets its probes in, when whoever names it would long have done so.
    """

    def __init__(
        self,
        policies: Policies,
        limits: LimitStore,
        cells: CellStore,
        *,
        interval: float,
        turned: Callable[[], None],
        kit: Kit,
    ) -> None:
        self._policies = policies
        self._limits = limits
        self._cells = cells
        #: Seconds after which the shared state is looked at whatever happens here.
        self._interval = interval
        self._turned = turned
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._watches: dict[str, Watch[Any]] = {}
        self._flush: Timer | None = None
        #: The store's now as it was answered last, and when that was.
        self._seen_at, self._seen = 0, kit.clock.monotonic()
        self._declared = 0
        #: The store may have lost what was declared.
        self._doubted = False
        #: When the next breaker that nobody here names is to be let through.
        self._orphaned_at: int | None = None
        self._loop = Loop("guards", self._step, kit=kit)

    async def start(self) -> None:
        """Declare, and begin; comes before the first claim."""
        await self._sync()
        self._loop.start()
        if self._watches or self._orphaned_at is not None:
            self._loop.wake()

    async def stop(self) -> None:
        """Write what ended, once, and end."""
        if self._flush is not None:
            self._flush.cancel()
        await self._loop.stop()
        if any(watch.tally.calls for watch in self._watches.values()):
            try:
                await self._sync()
            except StoreError as error:
                self._listener(Signal.STORE_WAITING, error=error, loop="guards", failures=1)

    def wake(self) -> None:
        """Look soon: a job was declared, or another node has turned something."""
        self._loop.wake()

    def returned(self) -> None:
        """Look soon whether the store that lost this node's lease has lost its limits too."""
        self._doubted = self._declared > 0
        self._loop.wake()

    def holds(self, names: Sequence[str]) -> bool:
        """Tell whether a run that names these is not to start: a breaker is open that let it through before."""
        now = self._now()
        return any(watch.is_open(now) for watch in self._of(names) if isinstance(watch, BreakerWatch))

    def ended(self, names: Sequence[str], error: BaseException | None, *, claimed_at: int, took: float) -> None:
        """Hear of a run that ended by itself, after so many seconds: with a result, or by what it raised."""
        if isinstance(error, JobSignal) and not isinstance(error, Retry):
            return  # its own decision, which says nothing of what it depends on
        kind = None if error is None else class_of(error)
        now, hurried = self._now(), False
        for watch in self._of(names):
            if claimed_at >= watch.counts_from:
                watch.tell(kind, round(took * SECOND), now)
                hurried = hurried or watch.hurried
        if hurried:
            self._loop.wake()
        elif self._flush is None:
            self._flush = self._clock.call_later(_FLUSH, self._due)

    def _due(self) -> None:
        self._flush = None
        self._loop.wake()

    def _of(self, names: Sequence[str]) -> list[Watch[Any]]:
        return [self._watches[name] for name in names if name in self._watches]

    def _now(self) -> int:
        """Return the store's now, as far as is known."""
        return self._seen_at + round((self._clock.monotonic() - self._seen) * SECOND)

    async def _step(self) -> float | None:
        try:
            again = await self._sync()
        except StoreError:
            self._go_alone()
            raise
        if again:
            return 0
        moments = [watch.state.until for watch in self._watches.values()]
        now, intervals = self._now(), [self._interval] if self._watches else []
        due = [max(0, moment - now) / SECOND for moment in (*moments, self._orphaned_at) if moment is not None]
        return min(intervals + due, default=None)

    async def _sync(self) -> bool:
        """Declare what is new, and turn what is due; tell whether another node was quicker somewhere."""
        version = self._policies.version
        if self._declared != version:
            await self._limits.declare(self._policies.limits())
            for name, policy in self._policies.breakers.items():
                known = self._watches.get(name)
                if isinstance(known, BreakerWatch):
                    known.policy = policy  # it was named first, and declared in full by a job that came later
                else:
                    self._watches[name] = BreakerWatch(name, policy, self._random)
            for name, adaptive in self._policies.adaptive.items():
                self._watches.setdefault(name, AdaptiveWatch(name, adaptive))
            self._declared = version
        if self._doubted:
            # What is there stays: a later deploy may have declared it.
            kept = {record.name for record in await self._limits.list() if record.declared is not None}
            lost = {name: limit for name, limit in self._policies.limits().items() if name not in kept}
            if lost:
                await self._limits.declare(lost)
            self._doubted = False
        cells = await self._cells.load("")
        self._seen_at, self._seen = cells.now, self._clock.monotonic()
        found = {cell.name: cell for cell in cells.cells}
        again = False
        for watch in tuple(self._watches.values()):
            again = not await self._turn(watch, found.get(watch.name), cells.now) or again
            if isinstance(watch, BreakerWatch):
                watch.rejoin()
        await self._turn_orphans(cells)
        return again

    async def _turn_orphans(self, cells: Cells) -> None:
        """Let through what is open, and should long have been let through by somebody."""
        self._orphaned_at = None
        for cell in cells.cells:
            if cell.name in self._watches or not cell.name.startswith(f"{FAMILY}:"):
                continue
            watch = BreakerWatch(cell.name, Breaker(name_of(cell.name)), self._random)
            state = watch.read(cell)
            if state.phase is not Phase.OPEN or state.until is None:
                continue
            due = state.until + round(_PATIENCE * self._interval * SECOND)
            if due <= cells.now:
                await self._turn(watch, cell, cells.now)
            else:
                self._orphaned_at = min(due, self._orphaned_at or due)

    async def _turn(self, watch: Watch[Any], cell: Cell | None, now: int) -> bool:
        """Bring one up to date; False when another node has changed it meanwhile."""
        state = watch.read(cell)
        used = await self._used(watch, state.seen + watch.tally)
        if state.counts_from != watch.counts_from:
            # It was turned elsewhere: these runs met the dependency of another day.
            watch.tally = Tally()
        tally = watch.tally
        after = watch.next(state, now, used=used)
        watch.declared = watch.declared and cell is not None
        if after is not state or not watch.declared:
            limit = watch.limit(after)
            changed = limit != watch.limit(state)
            version = 0 if cell is None else cell.version
            try:
                swap = await self._cells.swap(
                    watch.name,
                    watch.write(after),
                    version,
                    limit if changed or not watch.declared else None,
                    _events(watch, state, after),
                )
            except (StoreError, asyncio.CancelledError) as error:
                if not isinstance(error, StoreError) or error.stored != "no":
                    # It may be written. Told again, few failures would look like many; untold, like none.
                    watch.tally = _without(watch.tally, tally)
                raise
            if not swap.swapped:
                watch.state = state
                return False
            watch.declared = True
            if changed:
                self._turned()
            self._tell(watch, state, after)
        watch.state = after
        watch.tally = Tally() if watch.counts_from != state.counts_from else _without(watch.tally, tally)
        return True

    async def _used(self, watch: Watch[Any], seen: Tally) -> bool:
        """Tell whether an adaptive limit is made use of; of one that is kept by keys that is taken for granted."""
        if not isinstance(watch, AdaptiveWatch) or watch.name in self._policies.keyed:
            return True
        if not seen.calls:
            return True  # nothing will be made of it
        (lane,) = (await self._limits.lanes((watch.name,))).lanes
        return lane.parked or lane.running * 2 >= (lane.limit.slots or 0)

    def _tell(self, watch: Watch[Any], before: object, after: Any) -> None:  # noqa: ANN401 - a state of this watch
        signal = watch.signal(before, after)
        if signal is not None:
            self._listener(signal, breaker=name_of(watch.name), seconds=_lasting(after))

    def _go_alone(self) -> None:
        now = self._now()
        for watch in self._watches.values():
            if isinstance(watch, BreakerWatch):
                watch.go_on(now)
                if watch.is_open(now) and not watch.told:
                    watch.told = True
                    self._listener(Signal.BREAKER_ALONE, breaker=name_of(watch.name))


def _without(tally: Tally, written: Tally) -> Tally:
    """Return what came while the rest was written."""
    return Tally(tally.calls - written.calls, tally.failures - written.failures, tally.slow - written.slow)


def _events(watch: Watch[Any], before: object, after: Any) -> tuple[NewEvent, ...]:  # noqa: ANN401 - a state of this watch
    """Return what is to be told of a turn, in its step."""
    signal = watch.signal(before, after)
    if signal is None:
        return ()
    seconds = _lasting(after) if signal is Signal.BREAKER_OPENED else None
    return (tell(signal.value, name_of(watch.name), seconds=seconds),)


def _lasting(state: Any) -> float | None:  # noqa: ANN401 - a state of any watch
    """Return for how many seconds a state lasts, where it ends by time."""
    return None if state.until is None else round((state.until - state.since) / SECOND, 3)
