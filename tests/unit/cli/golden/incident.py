"""One night in a shop, as its store remembers it: the same for whoever builds it, to the last id and microsecond.

Half past two the provider of payments stops answering. Charges die or wait behind a breaker, a worker is killed, mails are
paused by hand, an import goes on beside it all; ten past three somebody opens a terminal.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.backends import urls
from backburner.model.clock import SECOND, instant
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import Ending, JobState, NewJob, Settlement
from backburner.model.lane import Limit, Rate
from backburner.model.node import NodeRecord
from backburner.model.schedule import Outcome, ScheduleChange, TickRecord
from backburner.ports.jobs import ClaimRequest
from backburner.resilience import breaker
from backburner.resilience.breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.model.job import Claim
    from backburner.ports.backend import Backend
    from backburner.testing.clock import FakeClock

__all__ = ["LIVING", "NOW", "arrive", "build", "job_id"]

_MIDNIGHT = instant(datetime(2026, 3, 14, tzinfo=UTC))
_MINUTE = 60 * SECOND
_DAY = 24 * 60 * _MINUTE
#: When somebody opens a terminal.
NOW = _MIDNIGHT + 190 * _MINUTE

_FIRST, _SECOND, _THIRD = "worker-1-310-a7", "worker-2-311-c4", "worker-3-312-e9"
#: Nodes whose processes live; the second was killed, the third drains.
LIVING = (_FIRST, _THIRD)
_QUEUES = {"payments": 8, "mail": 4, "default": 10}
_KINDS = ("charge", "import_orders", "import_part", "nightly_report", "send_receipt", "refund")
_HOMES = {"charge": "payments", "refund": "payments", "send_receipt": "mail"}
_BREAKER = "breaker:stripe"
_STORE = "concurrency:warehouse"
_TIMEOUT = {
    "error": "httpx.ReadTimeout",
    "message": "POST https://api.stripe.com/v1/charges: no answer within 10 s",
    "fingerprint": "9f3a1c77b0de",
    "traceback": (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/payments.py", line 41, in charge\n'
        "    answer = await client.post(CHARGES, data=order)\n"
        "httpx.ReadTimeout: POST https://api.stripe.com/v1/charges: no answer within 10 s"
    ),
}
_ADDRESS = {
    "error": "smtplib.SMTPRecipientsRefused",
    "message": "550 5.1.1 <zoë@example.com>: no such user\nhelo=shop",
    "fingerprint": "41c0ffee0bad",
    "traceback": "Traceback (most recent call last):\nsmtplib.SMTPRecipientsRefused: 550 5.1.1",
}
_REPORT = '{"type":"object","properties":{"day":{"type":"string"}},"required":[]}'


def job_id(number: int) -> str:
    """Return the id of a job of that night, by its number."""
    return f"01kkn8{number:020}"


class _Night:
    """The store, and a clock that is moved from one thing to the next."""

    def __init__(self, backend: Backend, clock: FakeClock) -> None:
        self._backend = backend
        self._clock = clock

    def at(self, hour: int, minute: int, second: float = 0) -> None:
        """Move on to a time of day."""
        self._clock.move((_MIDNIGHT - self._clock.now()) / SECOND + 3600 * hour + 60 * minute + second)

    async def store(self, number: int, kind: str, **fields: Any) -> None:  # noqa: ANN401 - any field of a job
        given: dict[str, Any] = {"queue": _HOMES.get(kind, "default"), "args": f'{{"order":{number}}}'}
        await self._backend.jobs.enqueue([[NewJob(id=job_id(number), kind=kind, **given | fields)]])

    async def claim(self, queue: str, node: str = _FIRST, limit: int = 1) -> tuple[Claim, ...]:
        request = ClaimRequest(node=node, queues={queue: limit}, limit=limit, kinds=frozenset(_KINDS))
        return (await self._backend.jobs.claim(request)).claims

    async def run(
        self,
        number: int,
        kind: str,
        took: float,
        node: str = _FIRST,
        state: JobState = JobState.COMPLETED,
        **told: Any,  # noqa: ANN401 - any field of a settlement
    ) -> None:
        """Store a job, and have it run at once."""
        fields = {name: told.pop(name) for name in ("tags", "parent", "lanes", "args") if name in told}
        await self.store(number, kind, **fields)
        await self.go_on(kind, took, node, state, **told)

    async def go_on(
        self,
        kind: str,
        took: float,
        node: str = _FIRST,
        state: JobState = JobState.COMPLETED,
        **told: Any,  # noqa: ANN401
    ) -> None:
        """Run the one job that is due in the queue of a kind."""
        (claim,) = await self.claim(_HOMES.get(kind, "default"), node)
        self._clock.move(took)
        await self._backend.jobs.settle(node, [Settlement(id=claim.id, token=claim.token, state=state, **told)])

    async def fail(
        self, number: int, kind: str, error: dict[str, str], *, waits: tuple[float, ...], took: float
    ) -> None:
        """Have a job fail as often as there are waits, and once more for good."""
        await self.store(number, kind)
        for wait in waits:
            await self.go_on(
                kind, took, state=JobState.PENDING, delay=int(wait * SECOND), failed=1, ending=Ending.FAILED, **error
            )
            self._clock.move(wait)
        await self.go_on(kind, took, state=JobState.DEAD, failed=1, ending=Ending.FAILED, reason="exhausted", **error)


def build(url: str, clock: FakeClock, operate: Callable[..., object]) -> None:
    """Fill an empty store; ``operate`` runs a command on it by this clock."""
    clock.move((_MIDNIGHT - clock.now()) / SECOND)
    _in(url, clock, _evening)
    operate("dlq", "purge", "--kind", "refund", "--yes", "--by", "cy", "--reason", "INC-4698: paid by hand")
    operate(
        "schedules",
        "add",
        "nightly-report",
        "nightly_report",
        "--cron",
        "0 2 * * *",
        "--tz",
        "Europe/Berlin",
        "--by",
        "cy",
    )
    operate("schedules", "add", "sweep-carts", "nightly_report", "--every", "15m", "--by", "cy")
    operate("schedules", "add", "new-year", "nightly_report", "--at", "2027-01-01T00:00Z", "--by", "cy")
    _in(url, clock, _outage)
    operate("queues", "pause", "mail", "--by", "ada", "--reason", "INC-4711: bounces")
    operate("queues", "set", "payments", "--slots", "2", "--rate", "100/minute", "--by", "ada", "--reason", "INC-4711")
    clock.move(60)
    operate("limits", "set", _STORE, "--slots", "1", "--by", "bob", "--reason", "INC-4711: spare the warehouse")
    operate("kinds", "pause", "refund", "--for", "2h", "--by", "bob", "--reason", "INC-4711")
    operate("schedules", "pause", "sweep-carts", "--by", "bob", "--reason", "INC-4711")
    _in(url, clock, _night)


def arrive(clock: FakeClock, operate: Callable[..., object]) -> None:
    """Open a terminal; the nodes that live do."""
    clock.move((NOW - clock.now()) / SECOND - 60)
    operate("nodes", "drain", _THIRD, "--by", "ada")
    clock.move((NOW - clock.now()) / SECOND)


def _in(url: str, clock: FakeClock, work: Callable[[_Night, Backend], Awaitable[None]]) -> None:
    async def do() -> None:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=clock, write_timeout=5)
        await backend.open(create=True)
        try:
            await backend.schema.upgrade()
            await _publish(backend)
            await work(_Night(backend, clock), backend)
        finally:
            await backend.close()

    asyncio.run(do())


async def _publish(backend: Backend) -> None:
    """Enter the nodes; on SQLite one lives as long as the process that has entered it."""
    for node in (_FIRST, _SECOND, _THIRD):
        name, number, pid, _ = node.split("-")
        record = NodeRecord(
            id=node,
            host=f"{name}-{number}",
            pid=int(pid),
            started_at=_MIDNIGHT,
            queues=_QUEUES,
            kinds=_KINDS,
            kind_queues=_HOMES,
            signatures={"nightly_report": _REPORT},
        )
        await backend.nodes.publish(record, (_DAY if node in LIVING else 8 * _MINUTE))


async def _evening(night: _Night, backend: Backend) -> None:
    """All is well."""
    await backend.limits.declare(
        {
            _STORE: Limit(slots=4),
            "budget:stripe": Limit(rate=Rate(limit=10, period=60 * SECOND, burst=100), deposit=SECOND),
        }
    )
    await backend.events.subscribe(
        NewSubscription(name="accounting", patterns=("order.*",), kind="book_order", ttl=30 * _DAY)
    )
    night.at(1, 30)
    await night.fail(9, "refund", _TIMEOUT, waits=(), took=10)
    night.at(2, 15)
    for number, took in enumerate((0.8, 1.2, 0.4, 2.1), start=1):
        await night.run(number, "charge", took, tags=("vip",) if number == 2 else (), result='{"paid":true}')
        await night.run(10 + number, "send_receipt", took / 4)
    await backend.events.append(
        (NewEvent(name="order.paid", subject="order/2", data='{"total":12.5,"note":"a\\tb"}', id="paid-2"),)
    )


async def _outage(night: _Night, backend: Backend) -> None:
    """The provider stops answering."""
    night.at(2, 15, 59)
    await _tick(backend, "sweep-carts", 1, -1, Outcome.SKIPPED, reason="missed", count=3)
    await _tick(backend, "sweep-carts", 2, 0, Outcome.FIRED, job=job_id(20))
    await night.go_on("nightly_report", 4, result='"12 carts"')
    night.at(2, 30)
    for number in (31, 32, 33):
        await night.fail(number, "charge", _TIMEOUT, waits=(20, 45), took=10)
    await night.run(
        34,
        "send_receipt",
        1,
        state=JobState.DEAD,
        failed=1,
        ending=Ending.REJECTED,
        reason="rejected: no such user",
        **_ADDRESS,
    )
    await backend.cells.swap(
        _BREAKER,
        breaker.encode(
            BreakerState(phase=breaker.Phase.OPEN, since=_MIDNIGHT + 165 * _MINUTE, until=NOW + 4 * _MINUTE)
        ),
        0,
        Limit(slots=0),
    )
    night.at(2, 45)
    await night.run(
        50, "refund", 3, state=JobState.PENDING, delay=30 * _MINUTE, failed=1, ending=Ending.FAILED, **_TIMEOUT
    )
    night.at(2, 47)


async def _night(night: _Night, backend: Backend) -> None:
    """What is still there when somebody looks."""
    night.at(2, 49)
    await night.store(40, "import_orders", args='{"file":"s3://orders/2026-03-13.csv"}', tags=("partner", "bulk"))
    ((claim),) = await night.claim("default")
    for number in (41, 42, 43, 44):
        await night.store(number, "import_part", parent=job_id(40), lanes=(_STORE,))
    await night.go_on("import_part", 61)
    await backend.jobs.settle(
        _FIRST,
        [
            Settlement(
                id=claim.id, token=claim.token, state=JobState.RUNNING, progress=(1, 4), checkpoint='{"row":2500}'
            )
        ],
    )
    await night.claim("default", _FIRST)
    await night.claim("default", _FIRST)
    night.at(2, 55)
    await night.store(51, "charge")
    await night.claim("payments", _SECOND)
    await night.store(52, "charge", lanes=(_BREAKER,))
    await night.store(53, "charge", lanes=(_BREAKER,), priority=1)
    night.at(2, 56)
    await night.claim("payments")
    night.at(2, 57)
    await night.claim("payments")
    await night.store(54, "legacy_sync", queue="default")
    await night.claim("default", _FIRST)
    for number in (61, 62, 63):
        await night.store(number, "send_receipt")
    await night.store(
        64, "nightly_report", delay=3 * 60 * _MINUTE, args='{"day":"2026-03-13","note":"für Zoë\\tand Bo"}'
    )
    await night.store(65, "charge", delay=60 * _MINUTE)
    await backend.admin.cancel([job_id(65)])
    await backend.events.append(
        (
            NewEvent(name="order.placed", subject="order/66", data="{}", id="placed-66"),
            NewEvent(name="order.paid", subject="order/3", data='{"total":8}', id="paid-3"),
        )
    )


async def _tick(backend: Backend, name: str, number: int, quarter: int, outcome: Outcome, **fields: Any) -> None:  # noqa: ANN401
    """Decide upon a tick of a schedule, so many quarters of an hour from quarter past two, as a node would."""
    (record,) = (await backend.schedule_reader.get([name])).schedules
    moment = _MIDNIGHT + (135 + 15 * quarter) * _MINUTE
    first = moment - (fields.get("count", 1) - 1) * 15 * _MINUTE
    line = TickRecord(
        id=f"01kkn8tick{number:016}",
        schedule=name,
        tick=first,
        last=moment,
        outcome=outcome,
        due_at=moment,
        **fields,
    )
    fired = outcome is Outcome.FIRED
    jobs = (NewJob(id=fields["job"], kind="nightly_report", queue="default", args="{}"),) if fired else ()
    changed = msgspec.structs.replace(
        record,
        next_tick=moment + 15 * _MINUTE,
        due_at=moment + 15 * _MINUTE,
        last_tick=moment,
        fired_at=moment if fired else None,
        last_job=fields.get("job"),
    )
    (answer,) = (await backend.schedules.change([ScheduleChange(schedule=changed, ticks=(line,), jobs=jobs)])).changes
    assert (answer.outrun, answer.refused) == (False, None)
