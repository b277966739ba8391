"""The crew of `backburner run --processes`, where the system does not do as it should."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Self

import pytest

from backburner.cli import crew as module
from backburner.cli.crew import Crew
from backburner.ports.telemetry import Signal
from backburner.testing.clock import FakeClock
from tests.unit.jobs.told import Ear

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fake:
    """A worker that is ready at once and lives until told to stop."""

    pid = 4711
    starts = 0
    refused: Sequence[int] = ()

    def __init__(self) -> None:
        self.process = self
        self._told = asyncio.Event()

    @classmethod
    async def start(cls, _arguments: Sequence[str]) -> Self:
        cls.starts += 1
        if cls.starts in cls.refused:
            raise OSError(errno.EAGAIN, "no more processes")
        return cls()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ready(self) -> bool:
        return True

    async def wait(self) -> int:
        await self._told.wait()
        return 0

    def tell(self, orders: bytes) -> None:
        if orders:
            self._told.set()


async def test_a_system_that_is_full_for_a_while_ends_no_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that cannot be started is told of and tried again, ever more seldom; the others go on."""

    class Workers(Fake):
        refused = (2, 3)

    monkeypatch.setattr(module, "_Worker", Workers)
    clock, ear = FakeClock(), Ear()
    crew = Crew((), 2, clock=clock, listener=ear)
    working = asyncio.create_task(crew.work())
    await clock.settle()
    await clock.advance(60)
    assert Workers.starts == 4
    assert [str(told["why"]) for told in ear.told(Signal.WORKER_DIED)] == [
        "could not be started: [Errno 11] no more processes"
    ] * 2
    crew._tell()
    assert await working == 0


async def test_a_system_that_is_full_at_the_start_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker's end is the crew's."""

    class Workers(Fake):
        refused = (1,)

    monkeypatch.setattr(module, "_Worker", Workers)
    with pytest.RaisesGroup(pytest.RaisesExc(OSError, match="no more processes")):
        await Crew((), 2, clock=FakeClock(), listener=Ear()).work()
