"""A store in memory with dead letters, on a fake clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.content import image_flaw
from backburner.backends.memory import MemoryBackend
from backburner.dlq.letters import Letters
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.model.query import JobFilter, Shown
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.making import add_each, claim, new, publish, to_settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from backburner.dlq.progress import Progress
    from backburner.model.job import Claim, JobRecord
    from backburner.ports.backend import Hint


QUEUES, KINDS = ("default", "mail"), ("note", "charge", "mail")


class Post:
    """A post office: letters die here, go back, and run again."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = MemoryBackend(self.clock)
        self.told: list[Hint] = []
        self.letters = self.driver()

    def driver(self) -> Letters:
        """Make another, as another process would have."""
        backend = self.backend
        return Letters(
            backend.reader,
            backend.admin,
            backend.nodes,
            backend.operations,
            clock=self.clock,
            tell=self.told.append,
            flaw=image_flaw,
        )

    async def die(self, count: int = 1, *, crashed: int = 0, reason: str = "exhausted", **fields: Any) -> list[str]:  # noqa: ANN401 - any field of a job
        """Store jobs and have them fail for good; return their ids. The clock moves on by a second."""
        told: dict[str, Any] = {"error": "ValueError", "message": "no", "fingerprint": "f1", "traceback": "line 1"}
        told |= {name: fields.pop(name) for name in [*told] if name in fields}
        jobs = [new(**fields) for _ in range(count)]
        await add_each(self.backend, jobs)
        claims = await self.claims()
        deaths = [
            to_settle(one, JobState.DEAD, reason=reason, failed=1, crashed=crashed, ending=Ending.FAILED, **told)
            for one in claims
        ]
        await self.backend.jobs.settle("node", deaths)
        self.clock.move(1)
        return [job.id for job in jobs]

    async def claims(self) -> Sequence[Claim]:
        """Claim all that is due."""
        found: list[Claim] = []
        while batch := await claim(self.backend, limit=10_000, queues=QUEUES, kinds=KINDS):
            found += batch
        return found

    async def run(self, *, fail: Iterable[str] = (), back: bool = False) -> list[str]:
        """Run all that is due, in which these fail (for good, or are tried again later); return the ids."""
        claims, failing = await self.claims(), {*fail}
        state = JobState.PENDING if back else JobState.DEAD
        failed: dict[str, Any] = {"failed": 1, "ending": Ending.FAILED, "error": "E", "delay": 3600 * SECOND}
        settlements = [
            to_settle(one, state, **failed) if one.id in failing else to_settle(one, result="1") for one in claims
        ]
        await self.backend.jobs.settle("node", settlements)
        return [one.id for one in claims]

    async def step(self, letters: Letters | None = None) -> float | None:
        """Take a step, and move on to when the next is due."""
        wait = await (letters or self.letters).replayer.step()
        if wait:
            self.clock.move(wait)
        return wait

    async def finish(self, progress: Progress) -> Progress:
        """Take steps until no letter is left."""
        while not (seen := await self.letters.replays.get(progress.id)).over:
            await self.step()
        return seen

    async def job(self, job_id: str) -> JobRecord:
        """Read a job."""
        return (await self.backend.reader.get([job_id])).jobs[0]

    async def dead(self) -> list[str]:
        """Return the ids of all dead letters, smallest first."""
        page = await self.backend.reader.find(JobFilter(states=(Shown.DEAD,)), limit=100_000)
        return sorted(job.id for job in page.jobs)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    """Open a post office with a node that knows the kinds."""
    office = Post()
    await office.backend.open(create=True)
    await publish(office.backend)
    yield office
    await office.backend.close()
