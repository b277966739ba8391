"""An executor and a desk on a stage, and what they gave to be written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from backburner.jobs.desk import Desk
from backburner.jobs.executor import Executor
from backburner.jobs.guards import Guards
from backburner.jobs.handles import Handles
from backburner.jobs.hints import Hints
from backburner.jobs.joined import Joined
from backburner.jobs.order import Orders
from backburner.jobs.performer import Performer
from backburner.jobs.slots import Slots
from backburner.jobs.threads import Threads
from backburner.jobs.witness import Witness
from backburner.model.ids import Ids
from backburner.resilience.retry import POLICIES
from tests.unit.jobs.told import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner.jobs.executor import Around
    from backburner.jobs.run import Run
    from backburner.jobs.settler import Subject, Told
    from backburner.model.job import Settlement
    from backburner.ports.backend import Backend
    from tests.unit.jobs.told import Stage


class Floor:
    """An executor on a stage, and what it settled; notes are told of as written at once, unless they are held."""

    def __init__(self, stage: Stage, around: Sequence[Around] = (), backend: object = None) -> None:
        self.stage = stage
        self.ends: dict[str, Settlement] = {}
        self.freed: list[bool] = []
        #: How often lanes were to be looked over, and breakers to be told of.
        self.opened = self.turned = 0
        #: Queues and delays of jobs that were to be expected.
        self.expected: list[tuple[str, int]] = []
        self.notes: list[Settlement] = []
        #: Whoever waits to hear of a note, while these are held.
        self.held: list[Told] | None = None
        #: What whoever hears of a note at once is told.
        self.note_error: Exception | None = None
        self._waiting: dict[str, asyncio.Event] = {}
        self.slots = Slots({"default": 10}, 10)
        self.threads = Threads(2)
        backend = cast("Backend", backend or stage.backend)
        joined = Joined(backend.transactions)
        self.hints = Hints(backend.notifier, stage.kit)
        handles = Handles(backend.reader, self._cancel, joined, kit=stage.kit)
        home = stage.kinds.home
        self.desk = Desk(
            backend,
            Orders(stage.kinds, Ids(stage.clock), argument_limit=1000),
            joined,
            home,
            slots=self.slots,
            threads=self.threads,
            node=stage.node,
            note=self._note,
            freed=lambda: self.freed.append(False),
            limit=1000,
            kit=stage.kit,
        )
        self.executor = Executor(
            stage.kinds,
            self.slots,
            self.desk,
            Performer(
                self.threads, self.desk, home, processes=1, argument_limit=1000, result_limit=1000, kit=stage.kit
            ),
            Guards(
                stage.kinds.policies,
                stage.backend.limits,
                stage.backend.cells,
                interval=10,
                turned=self._turned,
                kit=stage.kit,
            ),
            settle=self._settle,
            witness=Witness(handles, self.hints, lambda _queue, _delay: None, stage.kit),
            freed=self.freed.append,
            opened=self._opened,
            expect=lambda queue, delay: self.expected.append((queue, delay)),
            around=around,
            retry=POLICIES["standard"],
            timeout=0,
            result_limit=1000,
            kit=stage.kit,
        )

    @staticmethod
    async def _cancel(job_id: str) -> bool:
        raise AssertionError(job_id)

    def _settle(self, job: Subject, settlement: Settlement, error: BaseException | None = None) -> None:
        del error
        self.ends[job.id] = settlement
        if job.id in self._waiting:
            self._waiting[job.id].set()

    def _opened(self) -> None:
        self.opened += 1

    def _turned(self) -> None:
        self.turned += 1

    def _note(self, job: Subject, settlement: Settlement, told: Told) -> None:
        del job
        self.notes.append(settlement)
        if self.held is None:
            told(self.note_error)
        else:
            self.held.append(told)

    def start(self, fn: Callable[..., object], job_id: str = "a", **fields: object) -> Run:
        """Declare a function, once, and start a claim of it on a slot taken for it."""
        if self.stage.kinds.get(fn.__name__) is None:
            self.stage.define(fn)
        self.slots.take("default")
        self.executor.start(claim(job_id, fn.__name__, **fields))
        return self.executor.runs[job_id]

    async def ended(self, job_id: str = "a") -> Settlement:
        """Wait for how a run ended: also one in a thread, so for real."""
        if job_id not in self.ends:
            await self._waiting.setdefault(job_id, asyncio.Event()).wait()
        return self.ends[job_id]

    async def run(self, fn: Callable[..., object], **fields: object) -> Settlement:
        """Start a claim and wait for its end."""
        if self.stage.kinds.get(fn.__name__) is None:
            self.stage.define(fn)
        self.slots.take("default")
        self.executor.start(claim("a", fn.__name__, **fields))
        return await self.ended()

    async def close(self) -> None:
        """Check that nothing runs and no slot is taken or lent, and end."""
        await self.stage.settle()
        assert self.executor.runs == {}
        assert not self.slots.busy
        self.executor.close()
        self.threads.close()
        await self.hints.stop()
