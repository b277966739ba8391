"""Whole engines on memory, and a hand on their inner parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner import Backburner, RetryPolicy, constant
from tests.unit.jobs.told import Ear, Orders, ToldJobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from backburner.app import Options
    from backburner.backends.memory import MemoryBackend, MemoryDatabase
    from backburner.engine import Engine
    from backburner.jobs.executor import Executor
    from backburner.jobs.run import Run
    from backburner.jobs.slots import Slots
    from backburner.jobs.worker import Worker


class House:
    """An engine on memory, to be entered: whatever fails in it is tried once."""

    def __init__(self, **options: Unpack[Options]) -> None:
        self.ear = Ear()
        given: Options = {"retry": RetryPolicy(attempts=1, backoff=constant(0)), "listener": self.ear}
        given.update(options)
        self.bb: Backburner[None] = Backburner("memory://", **given)
        self.orders = Orders()

    @property
    def engine(self) -> Engine:
        engine = self.bb._engine
        assert engine is not None
        return engine

    @property
    def backend(self) -> MemoryBackend:
        return self.engine._backend  # type: ignore[return-value]

    @property
    def worker(self) -> Worker:
        worker = self.engine._worker
        assert worker is not None
        return worker

    @property
    def executor(self) -> Executor:
        return self.worker._executor

    @property
    def slots(self) -> Slots:
        return self.worker._slots

    @property
    def database(self) -> MemoryDatabase:
        return self.backend._connection._database

    @property
    def ids(self) -> list[str]:
        """All that is stored."""
        return list(self.database.jobs)

    def states(self) -> dict[str, list[str]]:
        """The states of what is stored, by kind, in the order of storing."""
        found: dict[str, list[str]] = {}
        for row in self.database.jobs.values():
            found.setdefault(row.job.kind, []).append(row.state.value)
        return found

    def obey(self) -> Orders:
        """Have what comes in stored by a store that does as told."""
        told = ToldJobs(self.backend, self.orders)
        self.engine._intake._store = told
        self.engine._intake._admin = told
        return self.orders

    def run(self, kind: str) -> Run:
        """The one run of a kind."""
        (run,) = [run for run in self.executor.runs.values() if run.kind == kind]
        return run


async def until(done: Callable[[], bool]) -> None:
    """Let tasks and threads run until something holds; five seconds is too long."""
    async with asyncio.timeout(5):
        while not done():
            await asyncio.get_running_loop().run_in_executor(None, str)
