"""An engine that is measured, as far as metrics see it."""

from __future__ import annotations

from backburner.model.clock import SECOND
from backburner.model.job import Claim, JobState, NewJob, Settlement
from backburner.observability.sampling import Sample
from backburner.observability.vitals import LoopVitals, Vitals
from backburner.ports.jobs import Backlog, QueueBacklog
from backburner.ports.telemetry import Hooks, Signal, Telemetry

__all__ = ["BUSY", "SAMPLE", "Measured", "claim", "new_job", "settlement"]

#: An engine at work.
BUSY = Vitals(
    started=True,
    last_beat=2.5,
    loops=(LoopVitals("claimer", 0, away=False, alive=True), LoopVitals("keeper", 0, away=False, alive=True)),
    running={("send", "mail"): 2},
)

#: A store that holds something of everything.
SAMPLE = Sample(
    backlog=Backlog(
        now=100 * SECOND,
        queues=(
            QueueBacklog(
                queue="mail", waiting=3, oldest=88 * SECOND, scheduled=1, retrying=2, held=4, running=2, dead=5
            ),
            QueueBacklog(queue="slow", running=1),
        ),
        unknown={"resize": 7},
    ),
    nodes={"working": 2, "draining": 1, "dead": 0},
    slots={"mail": 20},
    breakers={"stripe": "open"},
    lags={"audit": 12},
    overdue=3 * SECOND,
)


class Measured:
    """Tells what a test tells, and answers what a test puts here."""

    def __init__(self) -> None:
        self.hooks = Hooks()
        self.now = BUSY
        self.found: Sample | Exception = SAMPLE
        self.samples = 0

    def instrument(self, telemetry: Telemetry, /) -> None:
        self.hooks.add(telemetry)

    def vitals(self) -> Vitals:
        return self.now

    async def sample(self) -> Sample:
        self.samples += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def run(self, kind: str = "send", queue: str = "mail", *, seconds: float = 0.1) -> None:
        """Have a job stored, run and completed."""
        job = claim(kind, queue)
        for stored in self.hooks.stored:
            stored([new_job(kind, queue)])
        for ended in self.hooks.ended:
            ended(job, settlement(), seconds)
        for settled in self.hooks.settled:
            settled(job, settlement())

    def tell(self, signal: Signal, **fields: object) -> None:
        """Tell a signal."""
        for heard in self.hooks.signal:
            heard(signal, None, fields)


def new_job(kind: str = "send", queue: str = "mail") -> NewJob:
    """Return a job that is stored."""
    return NewJob(id="j1", kind=kind, queue=queue, args="{}")


def claim(kind: str = "send", queue: str = "mail", *, waited: int = 0) -> Claim:
    """Return a claim of a job that had been due for so many microseconds."""
    return Claim(
        id="j1",
        kind=kind,
        queue=queue,
        args="{}",
        priority=5,
        attempt=1,
        failures=0,
        crashes=0,
        interruptions=0,
        token=1,
        timeout=None,
        retry=None,
        backoff=None,
        created_at=0,
        due_at=10 * SECOND,
        expires_at=None,
        claimed_at=10 * SECOND + waited,
    )


def settlement(state: JobState = JobState.COMPLETED) -> Settlement:
    """Return how a claim ended."""
    return Settlement(id="j1", token=1, state=state)
