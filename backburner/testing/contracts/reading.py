"""What `JobReader` promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.model.query import JobFilter, Shown
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    add_each,
    claim,
    ended,
    ids,
    new,
    publish,
    read,
    settle,
)

if TYPE_CHECKING:
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["ReadingContract"]

RUNS = (Shown.RUNNING,)


async def _found(backend: Backend, **where: Any) -> list[str]:  # noqa: ANN401 - any field of a filter
    return ids((await backend.reader.find(JobFilter(**where), limit=100)).jobs)[::-1]


@pytest.mark.anyio
class ReadingContract:
    """Jobs are found by every field of the filter, page by page."""

    async def test_get_returns_those_that_exist(self, harness: Harness) -> None:
        """Jobs are read by id; ids that are not there are passed over, repeated ones are one."""
        jobs = [await add(harness.backend) for _ in range(3)]
        page = await harness.backend.reader.get([jobs[2].id, "nobody", jobs[0].id, jobs[2].id])
        assert sorted(ids(page.jobs)) == ids([jobs[0], jobs[2]])
        assert (page.now, page.after) == (harness.clock.now(), None)
        assert (await harness.backend.reader.get([])).jobs == ()

    async def test_history_of_nobody(self, harness: Harness) -> None:
        """A job that is not there, or never failed, has no history."""
        job = await add(harness.backend)
        assert await harness.backend.reader.history(job.id) == ()
        assert await harness.backend.reader.history("nobody") == ()

    async def test_newest_first(self, harness: Harness) -> None:
        """Jobs are found by id descending, with the store's now and no next page when all were shown."""
        jobs = [await add(harness.backend) for _ in range(3)]
        page = await harness.backend.reader.find(JobFilter(), limit=3)
        assert (page.now, ids(page.jobs), page.after) == (harness.clock.now(), ids(jobs)[::-1], None)

    async def test_pages_stay_stable_while_others_insert(self, harness: Harness) -> None:
        """Going from page to page shows each job once, whatever is inserted or ends meanwhile."""
        jobs = [await add(harness.backend) for _ in range(10)]
        seen: list[str] = []
        after: str | None = None
        for _ in range(4):
            page = await harness.backend.reader.find(JobFilter(), limit=3, after=after)
            seen += ids(page.jobs)
            after = page.after
            await add(harness.backend)
        assert (seen, after) == (ids(jobs)[::-1], None)

    async def test_filters_of_what_never_changes(self, harness: Harness) -> None:
        """Kind, queue and id are filtered: within one field any value, all fields together."""
        one, two, three = [
            await add(harness.backend, id=f"{prefix}{new().id}", kind=kind, queue=queue)
            for prefix, kind, queue in (("a", "x", "q"), ("a", "y", "q"), ("b", "x", "r"))
        ]
        assert await _found(harness.backend, kinds=("x",)) == ids([one, three])
        assert await _found(harness.backend, kinds=("x", "y")) == ids([one, two, three])
        assert await _found(harness.backend, queues=("q",), kinds=("x",)) == [one.id]
        assert await _found(harness.backend, queues=("none",)) == []
        assert await _found(harness.backend, prefix="a") == ids([one, two])
        assert await _found(harness.backend, prefix="a", kinds=("y",)) == [two.id]

    async def test_a_prefix_is_no_pattern(self, harness: Harness) -> None:
        """Characters that databases give a meaning are plain characters in a prefix."""
        job = await add(harness.backend, id="50%_off[*?]")
        await add(harness.backend, id="50xxoff")
        for prefix in ("50%", "50%_", "50%_off[", "50%_off[*"):
            assert await _found(harness.backend, prefix=prefix) == [job.id]

    async def test_filters_of_parents(self, harness: Harness) -> None:
        """The children of a job are found and counted, page by page, whether it is stored or not; none for nobody."""
        backend = harness.backend
        parent = await add(backend)
        first, second, third = [await add(backend, parent=parent.id, kind=kind) for kind in "xyx"]
        orphan = await add(backend, parent="gone")
        await add(backend, parent=first.id)
        assert await _found(backend, parents=(parent.id,)) == ids([first, second, third])
        assert await _found(backend, parents=(parent.id,), kinds=("x",)) == ids([first, third])
        assert await _found(backend, parents=("gone",)) == [orphan.id]
        assert await _found(backend, parents=(orphan.id,)) == await _found(backend, parents=("",)) == []
        page = await backend.reader.find(JobFilter(parents=(parent.id,)), limit=2)
        assert (ids(page.jobs), page.after) == (ids([third, second]), second.id)
        page = await backend.reader.find(JobFilter(parents=(parent.id,)), limit=2, after=page.after)
        assert (ids(page.jobs), page.after) == ([first.id], None)
        assert await backend.reader.count(JobFilter(parents=(parent.id,))) == {Shown.WAITING: 3}

    async def test_filters_of_several_parents(self, harness: Harness) -> None:
        """The children of any of many jobs come in one order, page by page, whichever of them has how many."""
        backend, reader = harness.backend, harness.backend.reader
        await publish(backend)
        await add_each(backend, [new(id=f"{at:04}", parent="many" if at % 3 else f"p{at}") for at in range(2_100)])
        (dead,) = await claim(backend, limit=1)
        await settle(backend, dead, JobState.DEAD)
        where = JobFilter(parents=("nobody", "many", *(f"p{at}" for at in range(1_200)), "many", ""))
        expected = [f"{at:04}" for at in range(2_100) if at % 3 or at < 1_200]
        found: list[str] = []
        after = None
        while True:
            page = await reader.find(where, limit=700, after=after)
            found += ids(page.jobs)
            after = page.after
            if after is None:
                break
        assert found == expected[::-1]
        assert await reader.count(where) == {Shown.WAITING: len(expected) - 1, Shown.DEAD: 1}
        for narrowed in ({"states": (Shown.DEAD,)}, {"prefix": dead.id}):
            assert await _found(backend, parents=where.parents, **narrowed) == [dead.id]

    async def test_filters_of_nodes(self, harness: Harness) -> None:
        """Jobs are found by the node that runs them or ran them last; what it runs now by the state too."""
        backend = harness.backend
        for node in ("one", "two"):
            await publish(backend, node)
        done = await ended(backend, JobState.COMPLETED, "one")
        failed = await add_claimed(backend, "one")
        await settle(backend, failed, JobState.PENDING, node="one", failed=1, ending=Ending.FAILED, delay=SECOND)
        mine = [await add_claimed(backend, "one", parent=parent) for parent in ("parent", None)]
        theirs = await add_claimed(backend, "two", parent="parent")
        await add(backend, delay=SECOND)
        assert await _found(backend, node="one") == [done, failed.id, *ids(mine)]
        assert await _found(backend, node="one", states=(Shown.COMPLETED, *RUNS)) == [done, *ids(mine)]
        assert await _found(backend, node="one", states=RUNS) == ids(mine)
        assert await _found(backend, node="one", states=RUNS, parents=("parent", "other")) == [mine[0].id]
        assert await _found(backend, node="two", states=RUNS) == await _found(backend, node="two") == [theirs.id]
        assert await _found(backend, node="nobody") == await _found(backend, node="nobody", states=RUNS) == []

    async def test_runs_of_a_node(self, harness: Harness) -> None:
        """What a node runs is counted, and read page by page; a job goes with the node that runs it next."""
        backend = harness.backend
        for node in ("one", "two"):
            await publish(backend, node)
        first, second = [await add_claimed(backend, "one") for _ in range(2)]
        await add_claimed(backend, "two")
        where = JobFilter(node="one", states=RUNS)
        assert await backend.reader.count(where) == {Shown.RUNNING: 2}
        page = await backend.reader.find(where, limit=1)
        assert (ids(page.jobs), page.after) == ([second.id], second.id)
        page = await backend.reader.find(where, limit=1, after=page.after)
        assert (ids(page.jobs), page.after) == ([first.id], None)
        await settle(backend, second, JobState.PENDING, node="one", ending=Ending.INTERRUPTED)
        assert ids(await claim(backend, "two")) == [second.id]
        assert await _found(backend, node="one") == [first.id]
        assert second.id in await _found(backend, node="two", states=RUNS)

    async def test_filters_of_tags(self, harness: Harness) -> None:
        """Any of the tags asked for finds a job; a tag is matched whole."""
        one = await add(harness.backend, tags=("red", "a b"))
        two = await add(harness.backend, tags=("blue",))
        await add(harness.backend)
        assert await _found(harness.backend, tags=("red",)) == [one.id]
        assert await _found(harness.backend, tags=("blue", "red")) == ids([one, two])
        assert await _found(harness.backend, tags=("re",)) == []
        assert await _found(harness.backend, tags=("a b",)) == [one.id]

    async def test_filters_of_time(self, harness: Harness) -> None:
        """``since`` is at or after, ``until`` is before, both of the moment of creation."""
        jobs: list[NewJob] = []
        moments: list[int] = []
        for _ in range(3):
            jobs.append(await add(harness.backend))
            moments.append(harness.clock.now())
            harness.clock.move(1)
        assert await _found(harness.backend, since=moments[1]) == ids(jobs[1:])
        assert await _found(harness.backend, until=moments[1]) == ids(jobs[:1])
        assert await _found(harness.backend, since=moments[1], until=moments[2]) == [jobs[1].id]

    async def test_filters_of_errors(self, harness: Harness) -> None:
        """An error is found by part of its type or of its message, a fingerprint by the whole of it."""
        await publish(harness.backend)
        claimed = await add_claimed(harness.backend)
        words = {"error": "app.PayloadError", "message": "no 100% cönnection", "fingerprint": "abc123"}
        await settle(harness.backend, claimed, JobState.DEAD, ending=Ending.FAILED, failed=1, **words)
        await add(harness.backend)
        for part in ("Payload", "100%", "cönn"):
            assert await _found(harness.backend, error=part) == [claimed.id]
        for part in ("payload ", "1%0", "_"):
            assert await _found(harness.backend, error=part) == []
        assert await _found(harness.backend, fingerprint="abc123") == [claimed.id]
        assert await _found(harness.backend, fingerprint="abc") == []

    async def test_states_as_shown(self, harness: Harness) -> None:
        """Waiting, scheduled and retrying are told apart, by the store's now; the filter and the counts agree."""
        await publish(harness.backend)
        backend = harness.backend
        made = {
            Shown.COMPLETED: await ended(backend, JobState.COMPLETED),
            Shown.CANCELLED: await ended(backend, JobState.CANCELLED),
            Shown.DEAD: await ended(backend, JobState.DEAD),
        }
        failed = await add_claimed(backend)
        await settle(backend, failed, JobState.PENDING, failed=1, ending=Ending.FAILED, delay=SECOND)
        made[Shown.RETRYING] = failed.id
        made[Shown.RUNNING] = (await add_claimed(backend)).id
        made[Shown.SCHEDULED] = (await add(backend, delay=60 * SECOND)).id
        made[Shown.WAITING] = (await add(backend)).id
        assert await backend.reader.count(JobFilter()) == dict.fromkeys(Shown, 1)
        for state, job_id in made.items():
            assert await _found(backend, states=(state,)) == [job_id]
        assert len(await _found(backend, states=(Shown.DEAD, Shown.WAITING))) == len((Shown.DEAD, Shown.WAITING))
        harness.clock.move(60)
        assert len(await _found(backend, states=(Shown.WAITING,))) == len((Shown.WAITING, Shown.SCHEDULED))
        assert await _found(backend, states=(Shown.RETRYING,)) == [failed.id]

    async def test_counts_match_the_rows(self, harness: Harness) -> None:
        """Counts are of the jobs that match, by the state shown; states with none are left out."""
        await add_each(harness.backend, [new(kind=kind, delay=delay) for kind in "ab" for delay in (0, 0, SECOND)])
        assert await harness.backend.reader.count(JobFilter(kinds=("a",))) == {Shown.WAITING: 2, Shown.SCHEDULED: 1}
        assert await harness.backend.reader.count(JobFilter(kinds=("c",))) == {}
        waiting = JobFilter(kinds=("a",), states=(Shown.WAITING,))
        assert await harness.backend.reader.count(waiting) == {Shown.WAITING: 2}

    async def test_reads_see_other_connections(self, harness: Harness) -> None:
        """What one connection wrote, another reads."""
        second = await harness.second()
        job = await add(harness.backend)
        assert await read(second, job.id) == await read(harness.backend, job.id)
        assert ids((await second.reader.find(JobFilter(), limit=5)).jobs) == [job.id]
