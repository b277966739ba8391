"""What `EventStore.pull` and `EventStore.confirm` promise: what a subscription is handed, and who is heard about it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.ports.events import LOOKED_AT, Confirmation, Confirmed, Pulled, Received
from backburner.ports.jobs import GroupAnswer, Keep
from backburner.testing.contracts.making import add, claim, ids, keyed, new, publish, read
from backburner.testing.contracts.telling import append, confirm, event, kept, last, log, names, pull, subscribe, told

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["PullingContract"]

#: Seconds after which a write that waits for somebody's transaction is waiting for its end.
PATIENCE = 0.5
#: Events that one call appends, where very many are wanted.
_AT_ONCE = 1_000


class _ChangedMind(Exception):
    """The caller's own reason to roll back."""


def _keep(events: int | None) -> Keep:
    return Keep(completed=None, cancelled=None, dead=None, events=events)


def _transaction(harness: Harness) -> AbstractAsyncContextManager[object]:
    transaction = harness.transaction()
    if transaction is None:
        pytest.skip("this store joins no transaction")
    return transaction


async def _follow(backend: Backend) -> list[str]:
    """Pull and confirm until there is nothing more; return the names, in their order."""
    seen: list[str] = []
    while (received := await pull(backend)).events:
        seen += [one.name for one in received.events]
        assert await confirm(backend, received) == GroupAnswer()
    return seen


async def _cursor(backend: Backend, name: str = "sub") -> int:
    return next(one.cursor for one in (await backend.event_reader.subscriptions()).subscriptions if one.name == name)


@pytest.mark.anyio
class PullingContract:
    """Events are handed out in order, until somebody says that they are done with; of several who do, one is heard."""

    # ---- pull ------------------------------------------------------------------------------------------------------

    async def test_nothing_before_it(self, harness: Harness) -> None:
        """A subscription that has seen all is answered too, where it stands; one that does not exist is not."""
        answer = await subscribe(harness.backend, name="b")
        await subscribe(harness.backend, name="a")
        found = await harness.backend.events.pull(["c", "b", "a"], limit=10)
        expected = tuple(Received(name=name, cursor=answer.last, upto=answer.last) for name in "ab")
        assert found == Pulled(now=harness.clock.now(), log=answer.log, received=expected)
        assert (await harness.backend.events.pull([], limit=10)).received == ()

    async def test_handed_what_it_asks_for(self, harness: Harness) -> None:
        """Each is handed what it asks for, by number, as it was stored, on every connection."""
        await subscribe(harness.backend, "a", "c.*", name="x")
        await subscribe(harness.backend, "b", "c.d", name="y")
        await append(harness.backend, event("a"), event("b"), event("c.d", subject="s", data='{"a":1}'), event("c.e"))
        stored = {record.name: record for record in await log(harness.backend)}
        end = stored["c.e"].number
        for backend in (harness.backend, await harness.second()):
            x, y = (await backend.events.pull(["y", "x"], limit=10)).received
            assert (x.name, x.events, x.upto) == ("x", (stored["a"], stored["c.d"], stored["c.e"]), end)
            assert (y.name, y.events, y.upto) == ("y", (stored["b"], stored["c.d"]), end)
            assert x.lost is y.lost is None

    async def test_it_changes_nothing(self, harness: Harness) -> None:
        """Pulled again, a subscription is handed the same again."""
        await subscribe(harness.backend)
        await append(harness.backend, event(), event())
        first = await pull(harness.backend)
        assert len(first.events) == 2
        assert await pull(await harness.second()) == await pull(harness.backend) == first
        assert await _cursor(harness.backend) == first.cursor

    async def test_at_most_so_many(self, harness: Harness) -> None:
        """At most ``limit`` are handed over, each subscription's own; confirming goes on with the next."""
        await subscribe(harness.backend, "a", name="x")
        await subscribe(harness.backend, "*", name="y")
        await append(harness.backend, *[event(name, subject=str(at)) for at, name in enumerate("ababaabb")])
        seen: dict[str, str] = {"x": "", "y": ""}
        for _ in range(4):
            for received in (await harness.backend.events.pull(["x", "y"], limit=2)).received:
                assert len(received.events) <= 2
                seen[received.name] += "".join(one.subject for one in received.events)
                assert await confirm(harness.backend, received) == GroupAnswer()
        assert seen == {"x": "0245", "y": "01234567"}
        assert await _cursor(harness.backend, "x") == await _cursor(harness.backend, "y") == await last(harness.backend)

    async def test_those_that_do_not_match(self, harness: Harness) -> None:
        """What a subscription does not ask for is looked at and skipped: confirming that moves it on."""
        await subscribe(harness.backend, "a")
        await append(harness.backend, kept("b"), kept("c"))
        received = await pull(harness.backend)
        assert (received.events, received.upto) == ((), await last(harness.backend))
        assert await confirm(harness.backend, received) == GroupAnswer()
        assert await _cursor(harness.backend) == received.upto

    async def test_no_more_than_so_many_are_looked_at(self, harness: Harness) -> None:
        """One pull, and one read, looks at no more than `LOOKED_AT` events and says how far it came; the next goes on."""
        start = (await subscribe(harness.backend, "wanted")).last
        for _ in range(LOOKED_AT // _AT_ONCE):
            await append(harness.backend, *[kept("other")] * _AT_ONCE)
        await append(harness.backend, kept("other"), event("wanted"))
        end = await last(harness.backend)
        first = await pull(harness.backend)
        assert first.events == ()
        assert start < first.upto < end
        page = await harness.backend.event_reader.read(patterns=["wanted"], after=start, limit=10)
        assert (page.events, page.end) == ((), False)
        assert start < page.upto < end
        rest = await harness.backend.event_reader.read(patterns=["wanted"], after=page.upto, limit=10)
        assert ([one.number for one in rest.events], rest.end) == ([end], True)
        assert await confirm(harness.backend, first) == GroupAnswer()
        second = await pull(harness.backend)
        assert ([one.number for one in second.events], second.upto) == ([end], end)

    async def test_in_the_order_of_each_subject(self, harness: Harness) -> None:
        """Whoever writes about a subject later, on whichever connection, is handed over later."""
        await subscribe(harness.backend)
        second = await harness.second()
        for at in range(10):
            await append(second if at % 2 else harness.backend, event(subject="s", data=f'{{"at":{at}}}'))
            if at % 3 == 0:
                await pull(second)
        assert [one.data for one in (await pull(second)).events] == [f'{{"at":{at}}}' for at in range(10)]

    async def test_written_at_the_same_time(self, harness: Harness) -> None:
        """While others write, nothing that could have been read gets an earlier neighbour: nobody misses anything."""
        await subscribe(harness.backend)
        second = await harness.second()

        async def write(backend: Backend, writer: str) -> None:
            for at in range(20):
                await append(backend, event(subject=writer, data=f'{{"at":{at}}}'))

        seen: dict[str, list[str]] = {"x": [], "y": []}

        async def follow() -> None:
            while sum(map(len, seen.values())) < 40:
                received = await pull(second, limit=7)
                for one in received.events:
                    seen[one.subject].append(one.data)
                await confirm(second, received)

        await asyncio.gather(write(harness.backend, "x"), write(second, "y"), follow())
        written = [f'{{"at":{at}}}' for at in range(20)]
        assert seen == {"x": written, "y": written}

    # ---- what was deleted before it was seen -------------------------------------------------------------------------

    async def test_lost(self, harness: Harness) -> None:
        """A subscription is told of the greatest number that was deleted above where it stands, until it confirms."""
        await subscribe(harness.backend)
        await append(harness.backend, event("a"), event("b"))
        harness.clock.move(10)
        await append(harness.backend, event("c"))
        numbers = [record.number for record in await log(harness.backend)]
        assert await harness.backend.admin.prune(_keep(10 * SECOND), 100) == 2
        for backend in (harness.backend, await harness.second()):
            received = await pull(backend)
            assert received.lost == numbers[1]
            assert [one.number for one in received.events] == [numbers[2]]
        await confirm(harness.backend, await pull(harness.backend))
        assert (await pull(harness.backend)).lost is None

    async def test_all_lost(self, harness: Harness) -> None:
        """Also where nothing is left to hand over; a confirmation then moves it behind what is gone."""
        await subscribe(harness.backend)
        await append(harness.backend, event(), event())
        end = await last(harness.backend)
        await harness.backend.admin.prune(_keep(0), 100)
        received = await pull(harness.backend)
        assert (received.events, received.lost, received.upto) == ((), end, end)
        await confirm(harness.backend, received)
        assert (await pull(harness.backend)).lost is None
        await append(harness.backend, event("next"))
        received = await pull(harness.backend)
        assert ([one.name for one in received.events], received.lost) == (["next"], None)
        assert received.events[0].number > end

    async def test_not_lost(self, harness: Harness) -> None:
        """What was confirmed before it was deleted is not lost; nor is, for a new one, what was deleted before it came."""
        await subscribe(harness.backend)
        await append(harness.backend, event(), event())
        await confirm(harness.backend, await pull(harness.backend))
        await harness.backend.admin.prune(_keep(0), 100)
        await subscribe(harness.backend, name="new")
        await append(harness.backend, event())
        for name in ("sub", "new"):
            received = await pull(harness.backend, name)
            assert (received.lost, len(received.events)) == (None, 1)

    # ---- confirm -----------------------------------------------------------------------------------------------------

    async def test_confirmed(self, harness: Harness) -> None:
        """A subscription moves on, and the jobs are stored in the same step."""
        await publish(harness.backend)
        await subscribe(harness.backend, "order.*")
        await append(harness.backend, event())
        received = await pull(harness.backend)
        jobs = (new(lanes=("a",), tags=("x",)), new(delay=SECOND))
        given = Confirmation(name="sub", cursor=received.cursor, upto=received.upto, jobs=jobs)
        answer = await harness.backend.events.confirm([given])
        assert answer == Confirmed(now=harness.clock.now(), groups=(GroupAnswer(),))
        received = await pull(await harness.second())
        assert (received.cursor, received.events) == (given.upto, ())
        assert ids(await claim(harness.backend)) == [jobs[0].id]
        assert (await read(harness.backend, jobs[1].id)).due_at == harness.clock.now() + SECOND

    async def test_one_is_heard(self, harness: Harness) -> None:
        """Where it does not stand as the confirmation says, nothing changes and no job is stored."""
        await publish(harness.backend)
        second = await harness.second()
        await subscribe(harness.backend)
        await append(harness.backend, event())
        received = await pull(harness.backend)
        theirs = await pull(second)
        jobs = [new(), new()]
        assert await confirm(second, theirs, jobs[0]) == GroupAnswer()
        assert await confirm(harness.backend, received, jobs[1]) is None
        assert await confirm(harness.backend, received, jobs[1], name="nobody") is None
        assert await confirm(harness.backend, received, jobs[1], cursor=received.upto + 1) is None
        assert await _cursor(harness.backend) == received.upto
        assert ids(await claim(harness.backend)) == [jobs[0].id]

    async def test_at_the_same_time(self, harness: Harness) -> None:
        """Of any number who confirm at the same time one is heard."""
        second = await harness.second()
        await subscribe(harness.backend)
        await append(harness.backend, event())
        received = await pull(harness.backend)
        backends = [harness.backend, second] * 4
        answers = await asyncio.gather(*[confirm(backend, received) for backend in backends])
        assert sorted(answer is None for answer in answers) == [False] + [True] * 7

    async def test_several_at_once(self, harness: Harness) -> None:
        """Confirmations of one call answer each for itself, in order; the second of one subscription follows the first."""
        await subscribe(harness.backend, name="x")
        await subscribe(harness.backend, name="y")
        await append(harness.backend, event(), event())
        x = await pull(harness.backend, "x", limit=1)
        end = await last(harness.backend)
        jobs = [new() for _ in range(4)]
        groups = (
            await harness.backend.events.confirm(
                [
                    Confirmation(name="y", cursor=x.cursor + 1_000, upto=end, jobs=(jobs[0],)),
                    Confirmation(name="x", cursor=x.cursor, upto=x.upto, jobs=(jobs[1],)),
                    Confirmation(name="x", cursor=x.cursor, upto=end, jobs=(jobs[2],)),
                    Confirmation(name="x", cursor=x.upto, upto=end, jobs=(jobs[3],)),
                ]
            )
        ).groups
        assert groups == (None, GroupAnswer(), None, GroupAnswer())
        assert await _cursor(harness.backend, "x") == end
        assert await _cursor(harness.backend, "y") == x.cursor
        stored = (await harness.backend.reader.get(ids(jobs))).jobs
        assert sorted(ids(stored)) == [jobs[1].id, jobs[3].id]

    async def test_jobs_stored_before(self, harness: Harness) -> None:
        """A job id stored before is the same job, and left as it is; the subscription moves on."""
        await subscribe(harness.backend, "a")
        job = await add(harness.backend, args='{"a":1}')
        await append(harness.backend, event("a"))
        received = await pull(harness.backend)
        fresh = new()
        again = new(id=job.id, args='{"a":2}')
        assert await confirm(harness.backend, received, again, fresh) == GroupAnswer(duplicates=(job.id,))
        assert (await read(harness.backend, job.id)).args == '{"a":1}'
        assert (await read(harness.backend, fresh.id)).state is JobState.PENDING
        assert await _cursor(harness.backend) == received.upto

    async def test_jobs_whose_key_is_held(self, harness: Harness) -> None:
        """A job whose unique key is held is not stored, its holder is answered, and the subscription moves on."""
        await subscribe(harness.backend, "a")
        holder = await add(harness.backend, unique=keyed())
        await append(harness.backend, event("a"))
        received = await pull(harness.backend)
        held, twin, other = new(unique=keyed()), new(unique=keyed("other")), new(unique=keyed("other"))
        answer = await confirm(harness.backend, received, held, twin, other)
        assert answer == GroupAnswer(holders={held.id: holder.id, other.id: twin.id})
        assert ids((await harness.backend.reader.get([held.id, twin.id, other.id])).jobs) == [twin.id]
        assert await _cursor(harness.backend) == received.upto

    async def test_jobs_that_are_refused(self, harness: Harness) -> None:
        """A group that is refused for its content leaves its subscription where it stood, and harms no other."""
        await subscribe(harness.backend, name="x")
        await subscribe(harness.backend, name="y")
        await append(harness.backend, event())
        x, y = (await harness.backend.events.pull(["x", "y"], limit=10)).received
        flawed, jobs = new(kind="a\0"), [new(), new()]
        groups = (
            await harness.backend.events.confirm(
                [
                    Confirmation(name="x", cursor=x.cursor, upto=x.upto, jobs=(jobs[0], flawed)),
                    Confirmation(name="y", cursor=y.cursor, upto=y.upto, jobs=(jobs[1],)),
                ]
            )
        ).groups
        assert groups[0] is not None
        assert groups[0].refused is not None
        assert groups[1] == GroupAnswer()
        assert await _cursor(harness.backend, "x") == x.cursor
        assert await _cursor(harness.backend, "y") == y.upto
        assert ids((await harness.backend.reader.get([*ids(jobs), flawed.id])).jobs) == [jobs[1].id]

    async def test_jobs_are_told_of(self, harness: Harness) -> None:
        """Jobs that a confirmation stores are told of as any, and those that it does not store are not."""
        await subscribe(harness.backend)
        await append(harness.backend, event("a"))
        job, other = new(), new()
        received = await pull(harness.backend)
        await confirm(harness.backend, received, job)
        await confirm(harness.backend, received, other)
        assert [name for name, _ in await told(harness.backend, job.id)] == ["job.enqueued"]
        assert await told(harness.backend, other.id) == []
        assert await names(harness.backend) == ["a", "job.enqueued"]

    # ---- while somebody's transaction is open --------------------------------------------------------------------------

    @pytest.mark.parametrize("minded", ["commits", "rolls back"])
    async def test_written_in_somebodys_transaction(self, harness: Harness, minded: str) -> None:
        """What others write is handed out where it need not wait; what the transaction wrote comes after, if it commits."""
        transaction = _transaction(harness)
        second = await harness.second()
        await subscribe(harness.backend)
        seen: list[str] = []
        calls: list[asyncio.Task[int]] = []
        with suppress(_ChangedMind):
            async with transaction as tx:
                await harness.backend.events.append([event("theirs")], tx=tx)
                call = asyncio.create_task(append(harness.backend, event("ours")))
                calls.append(call)
                await asyncio.wait(calls, timeout=PATIENCE)
                if call.done():
                    seen += await _follow(second)
                    assert seen == ["ours"]
                if minded == "rolls back":
                    raise _ChangedMind
        assert await asyncio.gather(*calls) == [1]
        seen += await _follow(second)
        assert sorted(seen) == (["ours", "theirs"] if minded == "commits" else ["ours"])

    @pytest.mark.parametrize("minded", ["commits", "rolls back"])
    async def test_jobs_whose_key_is_in_somebodys_transaction(self, harness: Harness, minded: str) -> None:
        """A group whose key is in an open transaction is busy: its subscription stays where it stood; others move on."""
        transaction = _transaction(harness)
        for name in ("x", "y"):
            await subscribe(harness.backend, "a", name=name)
        await append(harness.backend, event("a"))
        x, y = (await harness.backend.events.pull(["x", "y"], limit=10)).received
        holder, job, other = new(unique=keyed()), new(unique=keyed()), new()
        confirmations = [
            Confirmation(name=one.name, cursor=one.cursor, upto=one.upto, jobs=(each,))
            for one, each in ((x, job), (y, other))
        ]
        calls: list[asyncio.Task[Confirmed]] = []
        with suppress(_ChangedMind):
            async with transaction as tx:
                await harness.backend.jobs.enqueue([[holder]], tx=tx)
                call = asyncio.create_task(harness.backend.events.confirm(confirmations))
                calls.append(call)
                await asyncio.wait(calls, timeout=PATIENCE)
                if call.done():
                    assert call.result().groups == (GroupAnswer(busy=True), GroupAnswer())
                    assert (await _cursor(harness.backend, "x"), await _cursor(harness.backend, "y")) == (
                        x.cursor,
                        y.upto,
                    )
                if minded == "rolls back":
                    raise _ChangedMind
        (confirmed,) = await asyncio.gather(*calls)
        answer = confirmed.groups[0]
        while answer is not None and answer.busy:
            answer = await confirm(harness.backend, x, job)
        assert answer == (GroupAnswer() if minded == "rolls back" else GroupAnswer(holders={job.id: holder.id}))
        assert confirmed.groups[1] == GroupAnswer()
        assert await _cursor(harness.backend, "x") == x.upto

    # ---- how long events are kept ----------------------------------------------------------------------------------

    async def test_kept_for_their_time(self, harness: Harness) -> None:
        """An event goes when it was written so long ago, to the microsecond, delivered or not; None is for ever."""
        await append(harness.backend, kept("a", id="one"))
        harness.clock.move(4)
        await append(harness.backend, kept("b"))
        harness.clock.move(5.999999)
        assert await harness.backend.admin.prune(_keep(10 * SECOND), 10) == 0
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(_keep(None), 10) == 0
        assert await names(harness.backend) == ["a", "b"]
        first = (await log(harness.backend))[0].number
        assert await harness.backend.admin.prune(_keep(10 * SECOND), 10) == 1
        assert await names(harness.backend) == ["b"]
        assert (await harness.backend.event_reader.read(limit=10)).pruned == first
        assert await append(harness.backend, kept("c", id="one")) == 1

    async def test_pruning_is_bounded(self, harness: Harness) -> None:
        """At most ``limit`` are deleted at a time, oldest first, and how many is told; numbers are never given again."""
        await append(harness.backend, *[kept(str(at)) for at in range(7)])
        end = await last(harness.backend)
        left: list[list[str]] = []
        deleted: list[int] = []
        for _ in range(4):
            deleted.append(await harness.backend.admin.prune(_keep(0), 3))
            left.append(await names(harness.backend))
        assert deleted == [3, 3, 1, 0]
        assert left == [[*"3456"], ["6"], [], []]
        page = await (await harness.second()).event_reader.read(limit=1)
        assert (page.pruned, page.last, page.end) == (end, end, True)
        await append(harness.backend, kept())
        assert await last(harness.backend) > end
