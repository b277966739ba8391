"""Every verb of a store, done once beside a crowd that it has nothing to do with (see `conftest`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.model.job import Ending, JobState, NewJob, Settlement, UniqueKey
from backburner.model.node import NodeRecord
from backburner.ports.jobs import Birth, ClaimRequest, Keep

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

DEMAND = ClaimRequest(
    node="node", queues={"queue": 50, "other": 50}, limit=50, kinds=frozenset({"kind", "another"}), suspect=True
)
#: The first, by priority, due time and id, that waits for the busy key.
FIRST_WAITING = "0parked0000000020"
HELD = (JobState.PENDING, JobState.RUNNING)
KEEP = Keep(completed=0, cancelled=0, dead=0)


async def _enqueue(backend: Backend) -> None:
    jobs = [NewJob(id=f"2new{number}", kind="kind", queue="queue", args="{}") for number in range(50)]
    await backend.jobs.enqueue([jobs])


async def _bear(backend: Backend) -> None:
    job = NewJob(id="2born", kind="kind", queue="empty", args="{}", priority=9)
    (group,) = (await backend.jobs.enqueue([[job]], Birth("node", {job.id: 7}))).groups
    assert group.born == (job.id,)


async def _stand_in_line(backend: Backend) -> None:
    job = NewJob(id="2line", kind="kind", queue="queue", args="{}", priority=9)
    (group,) = (await backend.jobs.enqueue([[job]], Birth("node", {job.id: 7}))).groups
    assert group.born == ()


async def _duplicate(backend: Backend) -> None:
    job = NewJob(id="1due0000000001", kind="kind", queue="queue", args="{}")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == (job.id,)


async def _claim(backend: Backend) -> None:
    assert len((await backend.jobs.claim(DEMAND)).claims) == 50


async def _claim_alone(backend: Backend) -> None:
    demand = ClaimRequest(node="node", queues={"queue": 50}, limit=50, kinds=frozenset({"kind"}), suspect=False)
    assert len((await backend.jobs.claim(demand)).claims) == 50


async def _claim_nothing(backend: Backend) -> None:
    demand = ClaimRequest(node="node", queues={"other": 50}, limit=50, kinds=frozenset({"kind"}))
    assert (await backend.jobs.claim(demand)).wait is None


async def _settle(backend: Backend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    settlements = [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED, result="1") for each in claims]
    assert (await backend.jobs.settle("node", settlements)).stale == ()
    # Repeated, they are looked up.
    assert (await backend.jobs.settle("node", settlements)).stale == ()


async def _fail(backend: Backend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    settlements = [
        Settlement(id=each.id, token=each.token, state=JobState.PENDING, delay=5, ending=Ending.FAILED, failed=1)
        for each in claims
    ]
    assert (await backend.jobs.settle("node", settlements)).stale == ()


async def _recover_nothing(backend: Backend) -> None:
    assert (await backend.jobs.recover("node", 50)).jobs == ()


async def _recover(backend: Backend) -> None:
    await backend.nodes.publish(
        NodeRecord(id="dead", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",)), 1
    )
    demand = ClaimRequest(node="dead", queues={"queue": 50}, limit=50, kinds=frozenset({"kind"}))
    await backend.jobs.claim(demand)
    async with backend.keeper() as keeper:
        await keeper.abandon("dead")
    assert len((await backend.jobs.recover("node", 100)).jobs) == 50


async def _cancel(backend: Backend) -> None:
    ids = [f"1due{number:010d}" for number in range(1, 51)]
    assert len((await backend.admin.cancel(ids)).cancelled) == 50


async def _expedite(backend: Backend) -> None:
    due = [f"1due{number:010d}" for number in range(1, 51)]
    answer = await backend.admin.expedite(["1holder", *due, "1parent"])
    assert (answer.expedited, answer.due) == (("1holder", "1parent"), tuple(due))


async def _prune_nothing(backend: Backend) -> None:
    assert await backend.admin.prune(KEEP, 50) == 0


async def _prune(backend: Backend) -> None:
    keep = Keep(completed=-100, cancelled=-100, dead=None)
    assert await backend.admin.prune(keep, 50) == 50


def _unique(number: int, key: str) -> NewJob:
    return NewJob(id=f"2unique{number}", kind="kind", queue="queue", args="{}", unique=UniqueKey(key, HELD))


async def _conflict(backend: Backend) -> None:
    jobs = [_unique(number, "busy") for number in range(50)]
    (group,) = (await backend.jobs.enqueue([jobs])).groups
    assert set(group.holders.values()) == {"1holder"}


async def _take_a_key(backend: Backend) -> None:
    jobs = [_unique(number, "free") for number in range(50)]
    (group,) = (await backend.jobs.enqueue([jobs])).groups
    assert set(group.holders.values()) == {jobs[0].id}


async def _add_a_child(backend: Backend) -> None:
    job = NewJob(id="2child", kind="kind", queue="queue", args="{}", parent="1parent")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == ()


async def _add_a_late_child(backend: Backend) -> None:
    job = NewJob(id="2late", kind="kind", queue="queue", args="{}", parent="0child0000000001")
    (group,) = (await backend.jobs.enqueue([[job]])).groups
    assert group.duplicates == ()


async def _follow(backend: Backend) -> None:
    (claim,) = (await backend.jobs.claim(msgspec.structs.replace(DEMAND, limit=1))).claims
    jobs = (_unique(1, "busy"), _unique(2, "free"))
    write = [Settlement(id=claim.id, token=claim.token, state=JobState.COMPLETED, jobs=jobs)]
    assert (await backend.jobs.settle("node", write)).stale == ()


async def _let_through(backend: Backend) -> None:
    await backend.admin.cancel(["1holder"])
    (job,) = (await backend.reader.get([FIRST_WAITING])).jobs
    assert job.gate == ""


async def _release_nothing(backend: Backend) -> None:
    assert await backend.admin.release(50) == 0


async def _note(backend: Backend) -> None:
    claims = (await backend.jobs.claim(DEMAND)).claims
    notes = [Settlement(id=each.id, token=each.token, state=JobState.RUNNING, progress=(1, 2)) for each in claims]
    assert (await backend.jobs.settle("node", notes)).stale == ()


async def _pass_over_misfits(backend: Backend) -> None:
    demand = msgspec.structs.replace(DEMAND, signatures={"kind": "two"})
    assert {claim.gate for claim in (await backend.jobs.claim(demand)).claims} == {""}


VERBS = (
    _enqueue,
    _bear,
    _stand_in_line,
    _duplicate,
    _claim,
    _claim_alone,
    _claim_nothing,
    _settle,
    _fail,
    _recover_nothing,
    _recover,
    _cancel,
    _expedite,
    _prune_nothing,
    _prune,
    _conflict,
    _take_a_key,
    _add_a_child,
    _add_a_late_child,
    _follow,
    _let_through,
    _release_nothing,
    _note,
    _pass_over_misfits,
)

#: Those that write many rows.
WRITERS = (_enqueue, _settle)
