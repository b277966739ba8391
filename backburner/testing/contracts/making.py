"""Short ways to make jobs, nodes and settlements, for tests that care about one field of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, NewJob, Settlement, UniqueKey
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest, Letter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.job import Claim, JobRecord
    from backburner.ports.backend import Backend
    from backburner.ports.jobs import GroupAnswer, Recovery

__all__ = [
    "LEASE",
    "add",
    "add_claimed",
    "add_each",
    "ask",
    "claim",
    "dead",
    "ended",
    "held",
    "ids",
    "keyed",
    "new",
    "publish",
    "put",
    "read",
    "recover",
    "settle",
    "to_settle",
]

#: Long enough to outlast every move of a test's clock: a node that shall die is told to.
LEASE = 1_000_000_000 * SECOND

_numbers = itertools.count(1)


def new(**fields: Any) -> NewJob:  # noqa: ANN401 - any field of a job
    """Make a job, with an id above all before it."""
    given: dict[str, Any] = {"id": f"{next(_numbers):026}", "kind": "note", "queue": "default", "args": "{}"}
    return NewJob(**given | fields)


def keyed(
    key: str = "key",
    states: Iterable[JobState] = (JobState.PENDING, JobState.RUNNING),
    period: int | None = None,
) -> UniqueKey:
    """Make a unique key, held while its job waits or runs."""
    return UniqueKey(key, tuple(states), period)


async def put(backend: Backend, job: NewJob) -> GroupAnswer:
    """Store one job that need not be taken; return the answer."""
    (answer,) = (await backend.jobs.enqueue([[job]])).groups
    return answer


async def add_each(backend: Backend, jobs: Iterable[NewJob]) -> tuple[GroupAnswer, ...]:
    """Store jobs, a group each."""
    return (await backend.jobs.enqueue([[job] for job in jobs])).groups


async def add(backend: Backend, **fields: Any) -> NewJob:  # noqa: ANN401 - any field of a job
    """Make and store one job."""
    job = new(**fields)
    await add_each(backend, [job])
    return job


async def publish(backend: Backend, node: str = "node", *, ttl: int = LEASE) -> str:
    """Publish a node; return its id."""
    record = NodeRecord(id=node, host="host", pid=1, started_at=0, queues={"default": 10}, kinds=("note",))
    await backend.nodes.publish(record, ttl)
    return node


def ask(
    node: str = "node",
    *,
    limit: int = 100,
    queues: Iterable[str] | dict[str, int] = ("default",),
    kinds: Iterable[str] = ("note",),
    suspect: bool = True,
    signatures: dict[str, str] | None = None,
) -> ClaimRequest:
    """Make a demand; queues given by name alone have room for the limit."""
    rooms = cast("dict[str, int]", queues) if isinstance(queues, dict) else dict.fromkeys(queues, limit)
    return ClaimRequest(
        node=node,
        queues=rooms,
        limit=limit,
        kinds=frozenset(kinds),
        signatures=signatures or {},
        suspect=suspect,
    )


async def claim(backend: Backend, node: str = "node", **demand: Any) -> tuple[Claim, ...]:  # noqa: ANN401 - as `ask`
    """Claim for a published node."""
    return (await backend.jobs.claim(ask(node, **demand))).claims


async def add_claimed(backend: Backend, node: str = "node", **fields: Any) -> Claim:  # noqa: ANN401 - any field
    """Store one job and claim it; nothing else may be due in its queue."""
    job = await add(backend, **fields)
    (claimed,) = await claim(backend, node, queues=(job.queue,), kinds=(job.kind,))
    assert claimed.id == job.id
    return claimed


def to_settle(claimed: Claim, state: JobState = JobState.COMPLETED, **fields: Any) -> Settlement:  # noqa: ANN401
    """Make a settlement of a claim."""
    return Settlement(id=claimed.id, token=claimed.token, state=state, **fields)


async def settle(
    backend: Backend,
    claimed: Claim,
    state: JobState = JobState.COMPLETED,
    *,
    node: str = "node",
    **fields: Any,  # noqa: ANN401 - any field of a settlement
) -> None:
    """Settle one claim, which must be live."""
    assert (await backend.jobs.settle(node, [to_settle(claimed, state, **fields)])).stale == ()


async def recover(backend: Backend, node: str = "node", *, limit: int = 100) -> Recovery:
    """Recover for a node."""
    return await backend.jobs.recover(node, limit)


async def read(backend: Backend, job_id: str) -> JobRecord:
    """Read one job that exists."""
    (record,) = (await backend.reader.get([job_id])).jobs
    return record


async def ended(backend: Backend, state: JobState, node: str = "node", **fields: Any) -> str:  # noqa: ANN401
    """Store a job, claim it, end it so; return its id."""
    claimed = await add_claimed(backend, node, **fields)
    await settle(backend, claimed, state, node=node)
    return claimed.id


async def dead(
    backend: Backend,
    node: str = "node",
    *,
    fingerprint: str = "f1",
    reason: str | None = "exhausted",
    error: str = "ValueError",
    message: str = "no",
    **fields: Any,  # noqa: ANN401 - any field of a job
) -> Letter:
    """Store a job, claim it, have it fail for good; return the letter."""
    claimed = await add_claimed(backend, node, **fields)
    told: dict[str, Any] = {"error": error, "message": message, "fingerprint": fingerprint, "reason": reason}
    await settle(backend, claimed, JobState.DEAD, node=node, failed=1, ending=Ending.FAILED, **told)
    return Letter(id=claimed.id, token=claimed.token)


async def held(backend: Backend, node: str = "node") -> dict[str, int]:
    """Return what the store says a node holds: tokens by id."""
    async with backend.keeper() as keeper:
        return {claimed.id: claimed.token for claimed in (await keeper.beat(node, LEASE)).claims}


def ids(things: Iterable[Claim] | Iterable[JobRecord] | Iterable[NewJob]) -> list[str]:
    """Return the ids of claims, records or jobs, in their order."""
    return [thing.id for thing in things]
