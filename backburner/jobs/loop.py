"""The shape of every loop: wait for a reason, take one bounded step, report; a failed step backs off."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from backburner.errors import StoreError, StoreUnavailable
from backburner.model.clock import SECOND
from backburner.ports.telemetry import Signal
from backburner.resilience.retry import LOOP_BACKOFF

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.jobs.kit import Kit


__all__ = ["Loop", "trouble"]


def trouble(error: Exception) -> Signal:
    """Tell a store that is busy or away, which passes, from what nobody foresaw."""
    return Signal.STORE_WAITING if isinstance(error, StoreError) else Signal.LOOP_FAILED


class Loop:
    """Runs ``step`` whenever it is woken, and again after the seconds a step answers (None: only when woken).

    A step that raises is told to the listener and tried again after a backoff; the loop itself never ends but by
    `stop`. Wakes during a step are not lost: one more step follows.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float | None]],
        *,
        kit: Kit,
        longest: float = inf,
    ) -> None:
        self.name = name
        #: Seconds that a backoff may take.
        self._longest = longest
        self._step = step
        self._clock = kit.clock
        self._listener = kit.listener
        self._random = kit.random
        self._loops = kit.loops
        self._wanted = asyncio.Event()
        self._woken = self._stepping = False
        self._task: asyncio.Task[None] | None = None
        #: Steps that failed in a row.
        self.failures = 0
        #: The last of them found the store out of reach.
        self.away = False
        self._rested: asyncio.Event | None = None
        #: Set by a step that found nothing to do: its success says nothing of the store.
        self.idle = False

    def wake(self) -> None:
        """Take a step soon."""
        # Most wakes find it woken already.
        if not self._woken:
            self._woken = True
            self._wanted.set()

    def retry(self) -> None:
        """Take the step that failed again soon: there is reason to think that it succeeds now."""
        if self._rested is not None:
            self._rested.set()

    def start(self) -> None:
        """Begin; the first step is taken at the first wake."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"backburner.{self.name}")
        self._loops.add(self)

    async def stop(self) -> None:
        """End, cancelling a step under way; stopping twice, or before starting, is fine."""
        task, self._task = self._task, None
        self._loops.discard(self)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    @property
    def alive(self) -> bool:
        """Whether it runs: it was started, and its task has not ended."""
        return self._task is not None and not self._task.done()

    @property
    def resting(self) -> bool:
        """Whether it waits for a reason or for time to pass: nothing is under way."""
        return not (self._woken or self._stepping)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._stepping = True
            self._woken = self.idle = False
            try:
                delay = await self._step()
            except Exception as error:  # noqa: BLE001 - a loop's guard: whatever the step raised, the loop goes on
                self._stepping = False
                await self._back_off(error)
                continue
            self._stepping = False
            if self.failures:
                self._recovered()
            if delay is not None and not self._woken:
                await self._sleep(delay)

    def _recovered(self) -> None:
        if not self.idle:
            self._listener(Signal.STORE_RECOVERED, loop=self.name, failures=self.failures)
        self.failures = 0
        self.away = False

    async def _sleep(self, delay: float) -> None:
        """Wait for the delay or a wake, whichever is first; then a step is due."""
        if delay <= 0:
            self.wake()
            await asyncio.sleep(0)  # noqa: TID251 - others get their turn, also beside a store that never waits
            return
        timer = self._clock.call_later(delay, self.wake)
        try:
            await self._wanted.wait()
        finally:
            timer.cancel()

    async def _back_off(self, error: Exception) -> None:
        """Wait, deaf to wakes: hurrying callers must not storm a store that is away."""
        self.failures += 1
        self.away = isinstance(error, StoreUnavailable)
        self._listener(trouble(error), error=error, loop=self.name, failures=self.failures)
        delay = LOOP_BACKOFF.delay(self.failures, previous=None, random=self._random) / SECOND
        over = self._rested = asyncio.Event()
        timer = self._clock.call_later(min(delay, self._longest), over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
            self._rested = None
        self.wake()
