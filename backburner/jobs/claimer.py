"""Decides when to ask for work and how much: only for free slots, only when it is worth asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.ports.jobs import ClaimRequest
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.jobs.executor import Executor
    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.registry import Kinds
    from backburner.jobs.slots import Slots
    from backburner.model.clock import Timer
    from backburner.ports.jobs import ClaimBatch

__all__ = ["Claimer"]

#: Seconds slept at most before a due time to come. Timers do not see the store's clock step, nor a machine sleep: no
#: job is later than this for it.
DOZE = 60.0


class Claimer:
    """Keeps, for each queue, whether it may hold work, and turns free slots into requests.

    A queue may hold work after a hint, after a job of it was stored here, when the store said so, and when its last
    claim was filled. A request is booked on the slot ledger until its answer comes, so a birth cannot take the same
    slot. Claims that arrive are started at once. ``ask`` has it asked for a request, ``claimed`` hears that some arrived.
    """

    def __init__(
        self,
        kinds: Kinds,
        slots: Slots,
        executor: Executor,
        *,
        node: Identity,
        ask: Callable[[], None],
        claimed: Callable[[], None],
        kit: Kit,
    ) -> None:
        self._kinds = kinds
        self._slots = slots
        self._executor = executor
        self._node = node
        self._ask = ask
        self._claimed = claimed
        self._clock = kit.clock
        self._listener = kit.listener
        self._worth = set(slots.limits)
        #: Queues that an operator's slots hold back until one of this node's runs ends.
        self._capped: set[str] = set()
        self._asked: ClaimRequest | None = None
        self._timer: Timer | None = None
        self._timer_at = float("inf")
        self._open = False

    def start(self) -> None:
        """Begin to ask."""
        self._open = True
        self.wake()

    def stop(self) -> None:
        """Ask no more; an answer under way is given back."""
        self._open = False
        self._cancel_timer()

    @property
    def open(self) -> bool:
        """Whether this node takes work."""
        return self._open

    @property
    def idle(self) -> bool:
        """Whether no answer is awaited, and nothing is worth asking for."""
        return self._asked is None and not self._worth

    def wake(self) -> None:
        """Every queue may hold work."""
        self._worth.update(self._slots.limits)
        if self._open:
            self._ask()

    def expect(self, queue: str, delay: int) -> None:
        """Know of a job of this queue, pending, due in ``delay`` microseconds."""
        if not self._open or queue not in self._slots.limits:
            return
        if delay > 0:
            self._wake_in(delay)
        else:
            self._worth.add(queue)
            self._ask()

    def freed(self, *, suspect: bool) -> None:
        """Know that a slot is free again; a suspect's end lets the next suspect come."""
        if suspect:
            self._worth.update(self._slots.limits)
        self._worth |= self._capped
        self._capped.clear()
        if self._worth and self._open:
            self._ask()

    # ---- the settler's side ------------------------------------------------------------------------------------

    def request(self) -> ClaimRequest | None:
        """Return the demand, booked; None when there is none."""
        if not self._worth or not self._open or self._asked is not None:
            return None
        limit = self._slots.free_in_all
        if limit <= 0:
            return None
        queues = {queue: free for queue in self._worth if (free := self._slots.free(queue)) > 0}
        if not queues:
            return None
        # Together they may ask for more than the node has: the store takes the first by priority and due time, so that
        # none of them starves another. What that books too much keeps births out until the answer comes.
        for queue, count in queues.items():
            self._slots.take(queue, count)
        self._worth.difference_update(queues)
        self._asked = ClaimRequest(
            node=self._node.id,
            queues=queues,
            limit=limit,
            kinds=self._kinds.names,
            signatures=self._kinds.signatures,
            suspect=self._executor.suspects == 0,
        )
        return self._asked

    def arrived(self, request: ClaimRequest, batch: ClaimBatch) -> None:
        """Start what came, and note what is left."""
        self._give_back(request)
        for kind, count in batch.parked.items():
            self._listener(Signal.KIND_UNKNOWN, kind=kind, parked=count)
        if request.node != self._node.id or not self._open:
            for claim in batch.claims:
                self._node.assign(claim.id, claim.token, request.node)
                self._executor.decline(claim)
            self._worth.update(request.queues)
            return
        wanted = dict(request.queues)
        if batch.claims:
            self._claimed()
        for claim in batch.claims:
            self._slots.take(claim.queue)
            wanted[claim.queue] -= 1
            self._executor.start(claim)
        # A queue that filled its slots may hold more.
        self._worth.update(queue for queue, left in wanted.items() if left <= 0)
        self._capped.difference_update(request.queues)
        self._capped.update(batch.capped)
        if batch.wait == 0:
            self._worth.update(request.queues)
        elif batch.wait is not None:
            self._wake_in(batch.wait)
        self._worth -= self._capped
        if self._worth:
            self._ask()

    def failed(self, request: ClaimRequest) -> None:
        """Ask again later: nothing is known."""
        self._give_back(request)
        self._worth.update(request.queues)

    def _give_back(self, request: ClaimRequest) -> None:
        self._asked = None
        for queue, count in request.queues.items():
            self._slots.give(queue, count)

    # ---- the next due time -------------------------------------------------------------------------------------

    def _wake_in(self, delay: int) -> None:
        sleep = min(delay / SECOND, DOZE)
        at = self._clock.monotonic() + sleep
        if at >= self._timer_at:
            return
        self._cancel_timer()
        self._timer_at = at
        self._timer = self._clock.call_later(sleep, self._due)

    def _due(self) -> None:
        self._timer = None
        self._timer_at = float("inf")
        self.wake()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = float("inf")
