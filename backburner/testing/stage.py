"""What an app runs on in a test: one store in memory, one clock that stands still, and an engine for each loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backburner.backends.memory.backend import MemoryBackend
from backburner.backends.memory.claiming import claim
from backburner.backends.memory.database import MemoryDatabase
from backburner.engine import Engine
from backburner.errors import NotRunning
from backburner.jobs.context import current_run
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.ports.jobs import ClaimRequest
from backburner.testing.at_once import at_once
from backburner.testing.door import Door
from backburner.testing.lateness import nobody_runs, too_late
from backburner.testing.stage_clock import StageClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from backburner.config import Settings
    from backburner.engine import Extras
    from backburner.jobs.kit import Kit
    from backburner.jobs.registry import Kinds
    from backburner.jobs.vigil import Vigil
    from backburner.ports.jobs import JobReader
    from backburner.testing.record import Record

__all__ = ["Parts", "Stage"]

#: A node's lease, in microseconds: beats are few, so that weeks pass in no time.
LEASE = 12 * 3600 * SECOND
#: Seconds between two looks while a job does real work.
REST = 0.001
#: After so many, those who run are told what a hint would tell them, were time to pass.
RESTS = 10
#: Seconds that somebody waits for a job before being told that nothing runs it.
PATIENCE = 1.0
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
class _Life:
    engine: Engine
    #: How often it was entered; 0: it starts, or ends.
    entries: int = 0
    #: It was entered by the app or the test, and not only to run jobs for a while.
    lasting: bool = False
    #: How many have it take work.
    open: int = 0


class Stage:
    """The engines of an app under test.

    Memory and clock are shared by all loops, so that a test client's thread stores what the test sees. An engine that
    was entered runs jobs; on a loop where none was, another only stores and waits, and outlives those that run for a while.
    """

    def __init__(self, parts: Callable[[StageClock], Parts], record: Record, *, start: int, inline: bool) -> None:
        self.clock = self._clock = StageClock(start, self._is_quiet)
        self._parts = parts(self.clock)
        self._record = record
        self._inline = inline
        #: Engines that run, by loop.
        self._lives: dict[asyncio.AbstractEventLoop, _Life] = {}
        #: One on each loop starts or stops at a time.
        self._gates: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}
        #: Engines that only store, by loop.
        self._storing: dict[asyncio.AbstractEventLoop, Engine] = {}
        #: Who sees to it that somebody need not wait.
        self._runs: set[asyncio.Task[None]] = set()
        #: How often time was moved, or jobs were run: somebody who waits for a job may yet see its end.
        self._moves = 0
        #: How often the last look at what runs has found it running still.
        self._rests = 0
        self.database = MemoryDatabase()
        self._reader = MemoryBackend(self._clock, self.database)
        at_once(self._reader.open(create=True, write=False))

    @property
    def kit(self) -> Kit:
        """What every part of the engines here is given."""
        return self._parts.kit

    @property
    def reader(self) -> JobReader:
        """The jobs that were stored."""
        return self._reader.reader

    @property
    def entered(self) -> bool:
        """Whether somebody has an engine run on any loop, and not only for a while."""
        return any(life.lasting for life in self._lives.values())

    def known(self) -> Engine | None:
        """Return an engine that was entered: this loop's, else any."""
        life = self._lives.get(_running_loop())  # type: ignore[arg-type]  # None is no key
        if life is not None and life.entries:
            return life.engine
        return next((life.engine for loop, life in self._lives.items() if life.entries and loop.is_running()), None)

    def engine(self) -> Engine:
        """Return the engine of the running loop, if need be one that only stores; raises `NotRunning` without a loop."""
        loop = _running_loop()
        if loop is None:
            raise NotRunning("there is no event loop here: call this from a coroutine, or by bb.blocking from a thread")
        life = self._lives.get(loop)
        if life is not None and (life.lasting or current_run.get(None) is not None):
            return life.engine
        engine = self._storing.get(loop)
        if engine is None:
            self._forget_ended()
            engine = self._storing[loop] = self._make(run=False)
            at_once(engine.start())
            at_once(engine.ask_for_events())
        return engine

    def door(self) -> Door | None:
        """Return the way in for threads: to an engine that was entered, if one was."""
        engine = self.known()
        return None if engine is None else Door(self, engine.loop)

    @asynccontextmanager
    async def only_storing(self) -> AsyncGenerator[Door]:
        """Open a way in on this loop, for threads of a process that has no other."""
        try:
            yield Door(self, self.engine().loop)
        finally:
            await self.close()

    # ---- lives -----------------------------------------------------------------------------------------------------

    async def enter(self, *, lasting: bool = True) -> Engine:
        """Run an engine on this loop; entered again, it is the same."""
        loop = asyncio.get_running_loop()
        async with self._gates.setdefault(loop, asyncio.Lock()):
            life = self._lives.get(loop)
            if life is None:
                life = self._lives[loop] = _Life(self._make(run=True), lasting=lasting)
                try:
                    await life.engine.start()
                except BaseException:
                    await self._end(life)
                    raise
                self._attend(life)
            life.entries += 1
            life.lasting = life.lasting or lasting
            return life.engine

    async def leave(self) -> None:
        """End this loop's engine, once it was left as often as entered; what still runs is interrupted."""
        loop = asyncio.get_running_loop()
        async with self._gates.setdefault(loop, asyncio.Lock()):
            life = self._lives.get(loop)
            if life is None:
                raise NotRunning
            life.entries -= 1
            if not life.entries:
                life.engine.hurry()
                await self._end(life)

    async def close(self) -> None:
        """End what only stored on this loop, and forget the rest, whose loops are over."""
        engine = self._storing.pop(asyncio.get_running_loop(), None)
        if engine is not None:
            await self._stop(engine)
        self._forget_ended()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Engine]:
        """Have an engine run on this loop for the block."""
        engine = await self.enter(lasting=False)
        try:
            yield engine
        finally:
            await self.leave()

    def _make(self, *, run: bool) -> Engine:
        parts = self._parts
        extras = parts.extras if run else replace(parts.extras, sinks=nullcontext, lifespan=None, around=())
        engine = Engine(
            replace(parts.settings, url="memory://", run=run, lease=LEASE),
            parts.kinds,
            extras,
            parts.kit,
            {"durability"},
            backend=MemoryBackend(self._clock, self.database, pretends=True),
            held=not self._inline,
        )
        engine.handles.awaited = self._awaited
        engine.handles.poll = LEASE / SECOND
        return engine

    def _attend(self, life: _Life) -> None:
        # Jobs find their engine here, and there is one for each loop.
        self._parts.kinds.home.client = life.engine.client

    async def _end(self, life: _Life) -> None:
        self._lives = {loop: each for loop, each in self._lives.items() if each is not life}
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
        self._lives = {loop: life for loop, life in self._lives.items() if not loop.is_closed()}
        self._gates = {loop: gate for loop, gate in self._gates.items() if not loop.is_closed()}
        self._storing = {loop: engine for loop, engine in self._storing.items() if not loop.is_closed()}
        self.database.ears[:] = [ear for ear in self.database.ears if not ear.loop.is_closed()]

    # ---- work ------------------------------------------------------------------------------------------------------

    async def stored(self) -> None:
        """Run what was stored, where that is to happen at once; not from inside of a job, which it would wait for."""
        if self._inline and current_run.get(None) is None:
            await self.drain(PATIENCE * 10)

    async def drain(self, seconds: float) -> None:
        """Run what is due, and what comes of it, until only time can bring more; raises `TimeoutError`."""
        async with self.running() as engine, self._within(seconds, self._clock.now()):
            await self._work(engine)

    @asynccontextmanager
    async def _within(self, seconds: float, end: int) -> AsyncGenerator[None]:
        """Have something take no more than so many real seconds; the time is to be ``end`` then."""
        before = self._record.settled_count
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            waited = self._rests >= RESTS
            runs = [row for held in self.database.running.values() for row in held.values()] if waited else []
            ended = self._record.settled_count - before
            raise TimeoutError(too_late(seconds, runs, ended, self._clock.now(), end)) from None

    async def _work(self, engine: Engine) -> None:
        self._moves += 1
        life = self._lives[asyncio.get_running_loop()]
        self._attend(life)
        life.open += 1
        engine.release()
        try:
            await self._until_nothing_is_due(engine)
        finally:
            self._moves += 1
            life.open -= 1
            if not (life.open or self._inline):
                engine.hold()
            self._tell_others(engine)

    def _tell_others(self, engine: Engine) -> None:
        """Have those look who wait on other loops: the hint that they would be told by needs time to pass."""
        for each in (*(life.engine for life in self._lives.values()), *self._storing.values()):
            if each is not engine and each.loop.is_running():
                each.loop.call_soon_threadsafe(each.nudge)

    async def _until_nothing_is_due(self, engine: Engine) -> None:
        mark = None
        while True:
            await self._until_quiet(engine)
            now = self._mark()
            if now == mark:
                return
            mark = now
            # What a hint would tell of, were time to pass.
            engine.nudge()

    async def _until_quiet(self, engine: Engine) -> None:
        await self._clock.settle()
        self._rests = 0
        while not engine.quiet:
            await asyncio.sleep(REST)  # noqa: TID251 - a job may wait for the world outside
            self._rests += 1
            if self._rests % RESTS == 0:
                engine.nudge()  # for those who wait for a lock that has come free
            await self._clock.settle()

    def _is_quiet(self) -> bool:
        loop = asyncio.get_running_loop()
        life, storing = self._lives.get(loop), self._storing.get(loop)
        return (life is None or life.engine.quiet) and (storing is None or storing.quiet)

    def _mark(self) -> object:
        """Return what is another as soon as anything has happened."""
        return self.database.stamp, len(self.database.jobs), self.database.log.last, self._record.settled_count

    async def advance(self, duration: int, *, drain: bool, seconds: float) -> None:
        """Move the time, stopping at whatever is due on the way; with ``drain``, to run what can begin then."""
        end = self._clock.now() + duration
        async with self.running() as engine:
            self._moves += 1
            await self._clock.settle()
            if drain or self._inline:
                async with self._within(seconds, end):
                    await self._pass_and_drain(engine, end)
            else:
                await self._clock.pass_to(end)
                engine.nudge()
                await self._clock.settle()

    async def _pass_and_drain(self, engine: Engine, end: int) -> None:
        """Let time pass, stopping wherever the engine looks at something or a job can begin."""
        await self._work(engine)
        while self._clock.now() < end:
            stops = (self._next_claim(engine), self._clock.next_timer, end)
            await self._clock.stop_at(min(stop for stop in stops if stop is not None))
            claim = self._next_claim(engine)
            if claim is not None and claim <= self._clock.now():
                await self._work(engine)
        await self._work(engine)

    def _next_claim(self, engine: Engine) -> int | None:
        """Return when a job can begin, as far as the store knows: it is due, and neither paused nor held back by a rate."""
        parts, now = self._parts, self._clock.now()
        asked = ClaimRequest(
            node=engine.node,
            queues=dict(parts.settings.queues),
            limit=0,
            kinds=parts.kinds.names,
            signatures=parts.kinds.signatures,
        )
        wait = claim(self.database, asked, now).wait
        return None if wait is None else now + wait

    # ---- what may happen to an engine --------------------------------------------------------------------------------

    async def restart(self) -> None:
        """Stop this loop's engine as a deploy does, and start another."""
        life = self._entered_life()
        await self._stop(life.engine)
        life.engine = self._make(run=True)
        life.open = 0
        await life.engine.start()
        self._attend(life)

    async def crash(self) -> None:
        """Take this loop's engine its lease: what runs is cut off, and nothing of it is written."""
        life = self._entered_life()
        self._moves += 1
        self.database.nodes[life.engine.node].lease = self._clock.now()
        life.engine.nudge()
        await self._until_quiet(life.engine)

    def _entered_life(self) -> _Life:
        life = self._lives.get(asyncio.get_running_loop())
        if life is None or not life.entries:
            raise NotRunning("no engine runs on this loop: enter one by `async with bb.testing() as jobs`")
        return life

    # ---- waiting ---------------------------------------------------------------------------------------------------

    def _awaited(self, vigil: Vigil) -> None:
        """Tell whoever waits for a job that nobody will run, instead of letting the test hang; run it, where all are."""
        if current_run.get(None) is not None:
            return
        loop = asyncio.get_running_loop()
        if not self._inline:
            loop.call_later(PATIENCE, self._give_up, vigil, self._moves)
        elif not self._runs_by_itself(loop, vigil):
            run = loop.create_task(self._run_for(vigil))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    def _runs_by_itself(self, loop: asyncio.AbstractEventLoop, vigil: Vigil) -> bool:
        life, row = self._lives.get(loop), self.database.jobs.get(vigil.id)
        return (life is not None and life.lasting) or row is None or row.state is not JobState.PENDING

    async def _run_for(self, vigil: Vigil) -> None:
        """Run what a group outside of any job has stored, which did not come by `stored`."""
        try:
            await self.stored()
        except Exception as error:  # noqa: BLE001 - raised in who waits
            vigil.fail(error)

    def _give_up(self, vigil: Vigil, moves: int) -> None:
        if vigil.final is None and vigil.awaited and moves == self._moves:
            vigil.fail(NotRunning(nobody_runs(vigil)))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
