"""What an app runs on in a test: one store in memory, one clock that stands still, and engines that work when told to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.backends.memory.backend import MemoryBackend
from backburner.backends.memory.claiming import claim
from backburner.backends.memory.database import MemoryDatabase
from backburner.errors import NotRunning
from backburner.jobs.context import current_run
from backburner.model.job import JobState
from backburner.ports.jobs import ClaimRequest
from backburner.testing.at_once import at_once
from backburner.testing.door import Door
from backburner.testing.lateness import nobody_runs, too_late
from backburner.testing.lives import Lives
from backburner.testing.stage_clock import StageClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from backburner.engine import Engine
    from backburner.jobs.kit import Kit
    from backburner.jobs.vigil import Vigil
    from backburner.ports.jobs import JobReader
    from backburner.testing.lives import Parts
    from backburner.testing.record import Record

__all__ = ["Stage"]

#: Seconds between two looks while a job does real work.
REST = 0.001
#: After so many, those who run are told what a hint would tell them, were time to pass.
RESTS = 10
#: Seconds that somebody waits for a job before being told that nothing runs it.
PATIENCE = 1.0


class Stage:
    """Has an app's engines run what is due, and its time pass.

    Memory and clock are shared by all loops, so that a test client's thread stores what the test sees.
    """

    def __init__(self, parts: Callable[[StageClock], Parts], record: Record, *, start: int, inline: bool) -> None:
        self.clock = self._clock = StageClock(start, lambda: self.lives.quiet)
        self.database = MemoryDatabase()
        self._parts = parts(self.clock)
        self.lives = Lives(self._parts, self.clock, self.database, held=not inline, awaited=self._awaited)
        self._record = record
        self._inline = inline
        #: Who sees to it that somebody need not wait.
        self._runs: set[asyncio.Task[None]] = set()
        #: How often time was moved, or jobs were run: somebody who waits for a job may yet see its end.
        self._moves = 0
        #: How often the last look at what runs has found it running still.
        self._rests = 0
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

    def door(self) -> Door | None:
        """Return the way in for threads: to an engine that was entered, if one was."""
        engine = self.lives.known()
        return None if engine is None else Door(self, engine.loop)

    @asynccontextmanager
    async def only_storing(self) -> AsyncGenerator[Door]:
        """Open a way in on this loop, for threads of a process that has no other."""
        try:
            yield Door(self, self.lives.engine().loop)
        finally:
            await self.lives.close()

    # ---- work ------------------------------------------------------------------------------------------------------

    async def stored(self) -> None:
        """Run what was stored, where that is to happen at once; not from inside of a job, which it would wait for."""
        if self._inline and current_run.get(None) is None:
            await self.drain(PATIENCE * 10)

    async def drain(self, seconds: float) -> None:
        """Run what is due, and what comes of it, until only time can bring more; raises `TimeoutError`."""
        async with self.lives.running() as engine, self._within(seconds, self._clock.now()):
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
        life = self.lives.require()
        self.lives.attend(life)
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
        for each in self.lives.others(engine):
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

    def _mark(self) -> object:
        """Return what is another as soon as anything has happened."""
        return self.database.stamp, len(self.database.jobs), self.database.log.last, self._record.settled_count

    async def advance(self, duration: int, *, drain: bool, seconds: float) -> None:
        """Move the time, stopping at whatever is due on the way; with ``drain``, to run what can begin then."""
        end = self._clock.now() + duration
        async with self.lives.running() as engine:
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

    async def crash(self) -> None:
        """Take this loop's engine its lease: what runs is cut off, and nothing of it is written."""
        life = self.lives.require()
        self._moves += 1
        self.database.nodes[life.engine.node].lease = self._clock.now()
        life.engine.nudge()
        await self._until_quiet(life.engine)

    # ---- waiting ---------------------------------------------------------------------------------------------------

    def _awaited(self, vigil: Vigil) -> None:
        """Tell whoever waits for a job that nobody will run, instead of letting the test hang; run it, where all are."""
        if current_run.get(None) is not None:
            return
        loop = asyncio.get_running_loop()
        if not self._inline:
            loop.call_later(PATIENCE, self._give_up, vigil, self._moves)
        elif not self._runs_by_itself(vigil):
            run = loop.create_task(self._run_for(vigil))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    def _runs_by_itself(self, vigil: Vigil) -> bool:
        life, row = self.lives.here, self.database.jobs.get(vigil.id)
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
