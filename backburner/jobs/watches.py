"""What guards know of one breaker, or of one adaptive limit: its policy, where it stands, what has ended since."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from backburner.errors import PayloadNotReadable
from backburner.ports.telemetry import Signal
from backburner.resilience import adaptive, breaker
from backburner.resilience.adaptive import Adaptive, AdaptiveState
from backburner.resilience.breaker import Breaker, BreakerState, Phase
from backburner.resilience.tally import Tally

if TYPE_CHECKING:
    from random import Random

    from backburner.model.lane import Cell, Limit

__all__ = ["AdaptiveWatch", "BreakerWatch", "Watch"]

S = TypeVar("S", BreakerState, AdaptiveState)

_SIGNALS = {
    Phase.OPEN: Signal.BREAKER_OPENED,
    Phase.HALF_OPEN: Signal.BREAKER_PROBING,
    Phase.CLOSED: Signal.BREAKER_CLOSED,
}


class Watch(ABC, Generic[S]):
    """Shared by all nodes in the cell of its name; kept here as it was read last."""

    def __init__(self, name: str, state: S) -> None:
        self.name = name
        self.state: S = state
        #: What ended here, and is not written yet.
        self.tally: Tally = Tally()
        #: Its lane was declared by this node, whatever stood there before.
        self.declared = False

    @abstractmethod
    def tell(self, error: type[BaseException] | None, took: int, now: int) -> None:
        """Count a run of so many microseconds that ended so."""

    @abstractmethod
    def read(self, cell: Cell | None) -> S:
        """Return the state of a cell; of one that is missing, or that this code cannot read, a new one."""

    @abstractmethod
    def next(self, state: S, now: int, *, used: bool) -> S:
        """Return what becomes of a state by what ended here."""

    @abstractmethod
    def write(self, state: S) -> str:
        """Return a state as JSON text."""

    @abstractmethod
    def limit(self, state: S) -> Limit:
        """Return what the lane allows."""

    def signal(self, before: S, after: S) -> Signal | None:  # noqa: ARG002 - most have nothing to tell
        """Return what is told of a change."""
        return None

    @property
    def hurried(self) -> bool:
        """Whether a few runs decide."""
        return False

    @property
    def counts_from(self) -> int:
        """Only runs that began at this moment or later are told of: those before it met the dependency of another day."""
        return self.state.counts_from


class BreakerWatch(Watch[BreakerState]):
    """A breaker, with a twin that goes by what ended here alone: until that is written, and while it cannot be."""

    def __init__(self, name: str, policy: Breaker, random: Random) -> None:
        super().__init__(name, BreakerState())
        self.policy = policy
        self._random = random
        #: What ended here, and the twin has not seen.
        self._fresh = Tally()
        self._twin: BreakerState | None = None
        #: It was told that it is open here alone.
        self.told = False

    def tell(self, error: type[BaseException] | None, took: int, now: int) -> None:
        """Count a run; those that failed, or were slow, may open it here before others know."""
        told = self.policy.tally(error, took)
        self.tally += told
        self._fresh += told
        if told.failures or told.slow:
            self.go_on(now)

    def read(self, cell: Cell | None) -> BreakerState:
        """Return the state of a cell."""
        try:
            return BreakerState() if cell is None else breaker.decode(cell.value)
        except PayloadNotReadable:
            return BreakerState()

    def next(self, state: BreakerState, now: int, *, used: bool) -> BreakerState:  # noqa: ARG002 - adaptive ones look at it
        """Return what becomes of a state."""
        return breaker.advance(self.policy, state, self.tally, now, self._random)

    def write(self, state: BreakerState) -> str:
        """Return a state as JSON text."""
        return breaker.encode(state)

    def limit(self, state: BreakerState) -> Limit:
        """Return what the lane allows."""
        return breaker.limit(self.policy, state)

    def signal(self, before: BreakerState, after: BreakerState) -> Signal | None:
        """Return what is told of a change."""
        return None if before.phase is after.phase else _SIGNALS.get(after.phase)

    def go_on(self, now: int) -> None:
        """Let the twin decide by what ended here, and by time."""
        fresh, self._fresh = self._fresh, Tally()
        self._twin = breaker.advance(self.policy, self._twin or self.state, fresh, now, self._random)

    def rejoin(self) -> None:
        """Go by what all nodes share again."""
        self._twin, self._fresh, self.told = None, Tally(), False

    def is_open(self, now: int) -> bool:
        """Tell whether it is open, as far as this node knows."""
        state = self._twin or self.state
        return state.phase is Phase.OPEN and state.until is not None and now < state.until

    @property
    def hurried(self) -> bool:
        """Whether a few runs decide, or have decided here."""
        return (self._twin or self.state).phase is not Phase.CLOSED


class AdaptiveWatch(Watch[AdaptiveState]):
    """An adaptive limit; while the store cannot be asked it stays as it is."""

    def __init__(self, name: str, policy: Adaptive) -> None:
        super().__init__(name, adaptive.begin(policy))
        self.policy = policy

    def tell(self, error: type[BaseException] | None, took: int, now: int) -> None:  # noqa: ARG002 - breakers look at it
        """Count a run."""
        self.tally += self.policy.tally(error, took)

    def read(self, cell: Cell | None) -> AdaptiveState:
        """Return the state of a cell."""
        try:
            return adaptive.begin(self.policy) if cell is None else adaptive.decode(cell.value)
        except PayloadNotReadable:
            return adaptive.begin(self.policy)

    def next(self, state: AdaptiveState, now: int, *, used: bool) -> AdaptiveState:
        """Return what becomes of a state."""
        return adaptive.advance(self.policy, state, self.tally, now, used=used)

    def write(self, state: AdaptiveState) -> str:
        """Return a state as JSON text."""
        return adaptive.encode(state)

    def limit(self, state: AdaptiveState) -> Limit:
        """Return what the lane allows."""
        return adaptive.limit(self.policy, state)
