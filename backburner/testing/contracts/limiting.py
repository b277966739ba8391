"""Short ways to set limits, fill lanes, and see where jobs stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backburner.model.job import JobState
from backburner.model.lane import LANE_GATE, Limit
from backburner.testing.contracts.making import add_each, claim, ids, new, read, settle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.job import Claim, JobRecord, NewJob
    from backburner.model.lane import LaneRecord
    from backburner.ports.backend import Backend

__all__ = ["GATE", "add_in", "declare", "fill", "lane", "places", "strand"]

#: Where those stand that the lane ``x`` refused.
GATE = f"{LANE_GATE}x"


async def declare(backend: Backend, name: str = "x", **fields: Any) -> None:  # noqa: ANN401 - any field of a limit
    """Declare one limit."""
    await backend.limits.declare({name: Limit(**fields)})


async def add_in(backend: Backend, number: int, *lanes: str, **fields: Any) -> list[NewJob]:  # noqa: ANN401 - of a job
    """Store jobs in these lanes, of none given in ``x``, in one write; return them by id."""
    jobs = [new(lanes=lanes or ("x",), **fields) for _ in range(number)]
    await add_each(backend, jobs)
    return jobs


async def fill(backend: Backend, number: int, *lanes: str, node: str = "node") -> tuple[Claim, ...]:
    """Run so many jobs in these lanes, out of a queue of their own; return their claims by id."""
    jobs = await add_in(backend, number, *lanes, queue="holders")
    claims = await claim(backend, node, queues=("holders",))
    assert ids(claims) == ids(jobs)
    return claims


async def lane(backend: Backend, name: str = "x") -> LaneRecord:
    """Read one lane."""
    (record,) = (await backend.limits.lanes([name])).lanes
    assert record.name == name
    return record


async def places(backend: Backend, *jobs: Iterable[NewJob | Claim | JobRecord]) -> list[str]:
    """Return where jobs are: the gates of those that are pending (empty is the line), the states of the others."""
    records = [await read(backend, job.id) for some in jobs for job in some]
    return [record.gate if record.state is JobState.PENDING else str(record.state) for record in records]


async def strand(backend: Backend, *names: str) -> list[NewJob]:
    """Have a job stand at each of these lanes, of one slot, that has room, which it gets by no claim; return those jobs.

    There was another in front, let in for that room, and refused by a lane of the limit ``shut`` that it asks before.
    """
    await backend.limits.declare(dict.fromkeys(names, Limit(slots=1)))
    holders = [holder for name in names for holder in await fill(backend, 1, name)]
    firsts = [new(queue=name, lanes=(f"shut/{name}", name)) for name in names]
    jobs = [new(queue=name, lanes=(name,)) for name in names]
    await add_each(backend, [*firsts, *jobs])
    assert await claim(backend, queues=names) == ()
    await declare(backend, "shut", slots=0)
    for holder in holders:
        await settle(backend, holder)
    assert await claim(backend, queues=names) == ()
    stand_at = [f"{LANE_GATE}{place}" for place in (*(f"shut/{name}" for name in names), *names)]
    assert await places(backend, firsts, jobs) == stand_at
    return jobs
