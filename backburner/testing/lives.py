"""The engines of an app under test: on each loop one that runs jobs, or one that only stores."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backburner.backends.memory.backend import MemoryBackend
from backburner.engine import Engine
from backburner.errors import NotRunning
from backburner.jobs.context import current_run
from backburner.model.clock import SECOND
from backburner.testing.at_once import at_once

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.config import Settings
    from backburner.engine import Extras
    from backburner.jobs.kit import Kit
    from backburner.jobs.registry import Kinds
    from backburner.jobs.vigil import Vigil
    from backburner.testing.stage_clock import StageClock

__all__ = ["Life", "Lives", "Parts"]

#: A node's lease, in microseconds: beats are few, so that weeks pass in no time.
LEASE = 12 * 3600 * SECOND
#: Seconds that an engine which stops has for each second that passes.
TURN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an app is made of, but for its store and its clock."""

    settings: Settings
    kinds: Kinds
    extras: Extras
    kit: Kit


@dataclass(slots=True)
class Life:
    """An engine that runs."""

    engine: Engine
    #: How often it was entered; 0: it starts, or ends.
    entries: int = 0
    #: It was entered by the app or the test, and not only to run jobs for a while.
    lasting: bool = False
    #: How many have it take work.
    open: int = 0


class Lives:
    """Makes, starts and stops engines, all of them over one store and one clock.

    One that was entered runs jobs; on a loop where none was, another only stores and waits, and outlives those that run
    for a while. ``held`` is whether they take work only when told to, and ``awaited`` hears of each job that is waited for.
    """

    def __init__(
        self,
        parts: Parts,
        clock: StageClock,
        database: MemoryDatabase,
        *,
        held: bool,
        awaited: Callable[[Vigil], None],
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._database = database
        self._held = held
        self._awaited = awaited
        #: By loop, engines that run, and those that only store.
        self._running: dict[asyncio.AbstractEventLoop, Life] = {}
        self._storing: dict[asyncio.AbstractEventLoop, Engine] = {}
        #: One on each loop starts or stops at a time.
        self._gates: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}

    @property
    def entered(self) -> bool:
        """Whether somebody has an engine run on any loop, and not only for a while."""
        return any(life.lasting for life in self._running.values())

    @property
    def here(self) -> Life | None:
        """The engine that runs on this loop."""
        loop = _running_loop()
        return None if loop is None else self._running.get(loop)

    def known(self) -> Engine | None:
        """Return an engine that was entered: this loop's, else any."""
        life = self.here
        if life is not None and life.entries:
            return life.engine
        return next((life.engine for loop, life in self._running.items() if life.entries and loop.is_running()), None)

    def engine(self) -> Engine:
        """Return the engine of the running loop, if need be one that only stores; raises `NotRunning` without a loop."""
        loop = _running_loop()
        if loop is None:
            raise NotRunning("there is no event loop here: call this from a coroutine, or by bb.blocking from a thread")
        life = self._running.get(loop)
        if life is not None and (life.lasting or current_run.get(None) is not None):
            return life.engine
        engine = self._storing.get(loop)
        if engine is None:
            self._forget_ended()
            engine = self._storing[loop] = self._make(run=False)
            at_once(engine.start())
            at_once(engine.ask_for_events())
        return engine

    def others(self, engine: Engine) -> Iterator[Engine]:
        """Go through the other engines whose loops run."""
        for each in (*(life.engine for life in self._running.values()), *self._storing.values()):
            if each is not engine and each.loop.is_running():
                yield each

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way on this loop."""
        loop = asyncio.get_running_loop()
        life, storing = self._running.get(loop), self._storing.get(loop)
        return (life is None or life.engine.quiet) and (storing is None or storing.quiet)

    # ---- starting and stopping -------------------------------------------------------------------------------------

    async def enter(self, *, lasting: bool = True) -> Engine:
        """Run an engine on this loop; entered again, it is the same."""
        loop = asyncio.get_running_loop()
        async with self._gates.setdefault(loop, asyncio.Lock()):
            life = self._running.get(loop)
            if life is None:
                life = self._running[loop] = Life(self._make(run=True), lasting=lasting)
                try:
                    await life.engine.start()
                except BaseException:
                    await self._end(life)
                    raise
                self.attend(life)
            life.entries += 1
            life.lasting = life.lasting or lasting
            return life.engine

    async def leave(self) -> None:
        """End this loop's engine, once it was left as often as entered; what still runs is interrupted."""
        loop = asyncio.get_running_loop()
        async with self._gates.setdefault(loop, asyncio.Lock()):
            life = self._running.get(loop)
            if life is None:
                raise NotRunning
            life.entries -= 1
            if not life.entries:
                life.engine.hurry()
                await self._end(life)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Engine]:
        """Have an engine run on this loop for the block."""
        engine = await self.enter(lasting=False)
        try:
            yield engine
        finally:
            await self.leave()

    async def close(self) -> None:
        """End what only stored on this loop, and forget the rest, whose loops are over."""
        engine = self._storing.pop(asyncio.get_running_loop(), None)
        if engine is not None:
            await self._stop(engine)
        self._forget_ended()

    async def restart(self) -> None:
        """Stop this loop's engine as a deploy does, and start another."""
        life = self.require()
        await self._stop(life.engine)
        life.engine = self._make(run=True)
        life.open = 0
        await life.engine.start()
        self.attend(life)

    def require(self) -> Life:
        """Return the engine that was entered on this loop; raises `NotRunning`."""
        life = self.here
        if life is None or not life.entries:
            raise NotRunning("no engine runs on this loop: enter one by `async with bb.testing() as jobs`")
        return life

    def attend(self, life: Life) -> None:
        """Have jobs find their engine: there is one for each loop."""
        self._parts.kinds.home.client = life.engine.client

    def _make(self, *, run: bool) -> Engine:
        parts = self._parts
        extras = parts.extras if run else replace(parts.extras, sinks=nullcontext, lifespan=None, around=())
        engine = Engine(
            replace(parts.settings, url="memory://", run=run, lease=LEASE),
            parts.kinds,
            extras,
            parts.kit,
            {"durability"},
            backend=MemoryBackend(self._clock, self._database, pretends=True),
            held=self._held,
        )
        engine.handles.awaited = self._awaited
        engine.handles.poll = LEASE / SECOND
        return engine

    async def _end(self, life: Life) -> None:
        self._running = {loop: each for loop, each in self._running.items() if each is not life}
        await self._stop(life.engine)

    async def _stop(self, engine: Engine) -> None:
        """Stop an engine; time passes where it waits for that: its grace, and the last writes."""
        stopping = asyncio.ensure_future(engine.stop())
        while not stopping.done():
            await asyncio.wait([stopping], timeout=TURN)
            if not stopping.done():
                await self._clock.leap(1)
        await stopping

    def _forget_ended(self) -> None:
        self._running = {loop: life for loop, life in self._running.items() if not loop.is_closed()}
        self._gates = {loop: gate for loop, gate in self._gates.items() if not loop.is_closed()}
        self._storing = {loop: engine for loop, engine in self._storing.items() if not loop.is_closed()}
        self._database.ears[:] = [ear for ear in self._database.ears if not ear.loop.is_closed()]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
