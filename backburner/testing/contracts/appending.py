"""What `EventStore.append` promises: what is stored, once, as it was given, and in whose transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreError, StoreRefused, TransactionRefused
from backburner.model.event import EventRecord
from backburner.ports.events import Appended
from backburner.testing.contracts.making import new
from backburner.testing.contracts.telling import append, confirm, event, kept, last, log, names, pull, subscribe

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from backburner.model.event import NewEvent
    from backburner.testing.harness import Harness

__all__ = ["AppendingContract"]

DATA = '{"größe":"\\u2603 ☃ 🙂 \\"quoted\\" line\\none","number":9007199254740993,"half":0.1,"list":[null,{}]}'
FLAWED = {
    "name": kept("order.\0"),
    "subject": kept(subject="a\ud800"),
    "data": kept(data='{"a":"\ud800"}'),
    "id": kept(id="\0"),
}


class _ChangedMind(Exception):
    """The caller's own reason to roll back."""


def _transaction(harness: Harness) -> AbstractAsyncContextManager[object]:
    transaction = harness.transaction()
    if transaction is None:
        pytest.skip("this store joins no transaction")
    return transaction


@pytest.mark.anyio
class AppendingContract:
    """An event is stored if somebody asks for it, or if it is kept; and then as it was given."""

    async def test_nobody_asks(self, harness: Harness) -> None:
        """Without a subscription nothing is stored, and the answer says so."""
        now = harness.clock.now()
        assert await harness.backend.events.append([event(), event("a.b")]) == Appended(now, 0)
        assert await harness.backend.events.append([]) == Appended(now, 0)
        assert await log(harness.backend) == []

    async def test_kept(self, harness: Harness) -> None:
        """What is kept is stored though nobody asks, and the others beside it are not."""
        now = harness.clock.now()
        answer = await harness.backend.events.append([event("a"), kept("b"), event("c"), kept("d")])
        assert answer == Appended(now, 2)
        assert await names(harness.backend) == ["b", "d"]

    async def test_every_field(self, harness: Harness) -> None:
        """An event is read back as it was given, to the letter of its data, at the store's now, on every connection."""
        now = harness.clock.now()
        await append(harness.backend, kept("größe.🙂", subject="order/é'\"\\ 🙂", data=DATA, id="ïd 🙂"), kept("plain"))
        for backend in (harness.backend, await harness.second()):
            full, plain = await log(backend)
            number = full.number
            assert full == EventRecord(
                number=number, id="ïd 🙂", name="größe.🙂", subject="order/é'\"\\ 🙂", time=now, data=DATA
            )
            assert plain.number > number > 0
            assert plain == EventRecord(number=plain.number, id=None, name="plain", subject="", time=now, data="{}")

    async def test_numbers_ascend(self, harness: Harness) -> None:
        """Later events have greater numbers, in one call as in several, on whichever connection."""
        second = await harness.second()
        for name in "abc":
            await append(harness.backend, kept(f"{name}1"), kept(f"{name}2"))
            await append(second, kept(f"{name}3"))
        found = await log(harness.backend)
        assert [record.name for record in found] == [f"{name}{at}" for name in "abc" for at in "123"]
        numbers = [record.number for record in found]
        assert numbers == sorted({*numbers})
        assert await last(second) == numbers[-1]

    @pytest.mark.parametrize(
        ("patterns", "stored"),
        [
            (("order.paid",), ["order.paid"]),
            (("order.*",), ["order.paid", "order.paid.late"]),
            (("order.paid.*",), ["order.paid.late"]),
            (("*",), ["order", "order.paid", "order.paid.late", "orders.paid", "ping"]),
            (("ping", "order"), ["order", "ping"]),
            (("order.*", "order.paid"), ["order.paid", "order.paid.late"]),
            (("paid", "*.paid", "ord*", "order."), []),
        ],
        ids=["name", "front", "deeper", "all", "two", "both", "none"],
    )
    async def test_asked_for(self, harness: Harness, patterns: tuple[str, ...], stored: list[str]) -> None:
        """Stored is what a pattern asks for: a name, the names below a front, or all; each once."""
        await subscribe(harness.backend, *patterns)
        given = [event(name) for name in ("order", "order.paid", "order.paid.late", "orders.paid", "ping")]
        assert await append(harness.backend, *given) == len(stored)
        assert await names(harness.backend) == stored

    async def test_asked_for_by_several(self, harness: Harness) -> None:
        """What two subscriptions ask for is stored once, and what either does is stored."""
        await subscribe(harness.backend, "a", "b", name="x")
        await subscribe(await harness.second(), "b", "c", name="y")
        assert await append(harness.backend, *map(event, "abcd")) == 3
        assert await names(harness.backend) == [*"abc"]

    # ---- ids -------------------------------------------------------------------------------------------------------

    async def test_an_id_is_stored_once(self, harness: Harness) -> None:
        """The second event of one id is not stored, whatever else it says, and the first is left as it is."""
        assert await append(harness.backend, kept("a", id="one"), kept("b", id="two")) == 2
        assert await append(await harness.second(), kept("a", id="one"), kept("c", id="three")) == 1
        harness.clock.move(60)
        assert await append(harness.backend, kept("d", subject="other", id="two", data='{"a":1}')) == 0
        assert [(one.name, one.id) for one in await log(harness.backend)] == [
            ("a", "one"),
            ("b", "two"),
            ("c", "three"),
        ]

    async def test_an_id_twice_in_one_call(self, harness: Harness) -> None:
        """Of two of one id in one call the first is stored."""
        assert await append(harness.backend, kept("a", id="one"), kept("b", id="one"), kept("c")) == 2
        assert await names(harness.backend) == ["a", "c"]

    async def test_events_without_an_id(self, harness: Harness) -> None:
        """Those without an id are all stored, alike or not."""
        assert await append(harness.backend, *[kept()] * 3) == 3
        assert len(await log(harness.backend)) == 3

    async def test_an_id_that_was_not_stored(self, harness: Harness) -> None:
        """An event that nobody asked for has not used up its id."""
        assert await append(harness.backend, event(id="one")) == 0
        await subscribe(harness.backend)
        assert await append(harness.backend, event(id="one")) == 1

    # ---- what is refused -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("flawed", FLAWED.values(), ids=FLAWED)
    async def test_refused_for_its_content(self, harness: Harness, flawed: NewEvent) -> None:
        """What no store can keep is refused, and nothing of the call is stored."""
        with pytest.raises(StoreRefused) as caught:
            await harness.backend.events.append([kept("a"), flawed, kept("b")])
        assert caught.value.stored == "no"
        assert await log(harness.backend) == []

    async def test_opened_for_reading(self, harness: Harness) -> None:
        """Opened for reading the store reads events and subscriptions, and refuses every write."""
        await subscribe(harness.backend)
        await append(harness.backend, event())
        received = await pull(harness.backend)
        (stored,) = await log(harness.backend)
        backend = await harness.second()
        await backend.close()
        await backend.open(create=False, write=False)
        assert await log(backend) == [stored]
        assert await backend.event_reader.subscriptions() == await harness.backend.event_reader.subscriptions()
        writes = (
            lambda: append(backend, kept()),
            lambda: subscribe(backend, name="other"),
            lambda: backend.events.unsubscribe("sub"),
            lambda: confirm(backend, received),
        )
        for write in writes:
            with pytest.raises(StoreError) as caught:
                await write()
            assert caught.value.stored == "no"
        assert await log(harness.backend) == [stored]

    # ---- callers' transactions -------------------------------------------------------------------------------------

    @pytest.mark.parametrize("tx", [object(), "sqlite:///jobs.db", 7, False], ids=lambda tx: type(tx).__name__)
    async def test_what_cannot_be_joined_is_refused(self, harness: Harness, tx: object) -> None:
        """`TransactionRefused` is raised for anything that is no connection of this store's, before any write."""
        with pytest.raises(TransactionRefused):
            await harness.backend.events.append([kept()], tx=tx)
        assert await log(harness.backend) == []

    async def test_seen_once_it_commits(self, harness: Harness) -> None:
        """Events appended in a transaction are seen by nobody before it commits, and by all after."""
        second = await harness.second()
        await subscribe(harness.backend)
        async with _transaction(harness) as tx:
            answer = await harness.backend.events.append([event("a"), event("b", id="one")], tx=tx)
            assert answer == Appended(harness.clock.now(), 2)
            for backend in (harness.backend, second):
                assert await log(backend) == []
        for backend in (harness.backend, second):
            assert await names(backend) == ["a", "b"]
        assert [record.name for record in (await pull(second)).events] == ["a", "b"]

    async def test_only_what_is_asked_for(self, harness: Harness) -> None:
        """In a transaction too only what is asked for is stored, or kept, and each id once."""
        await subscribe(harness.backend, "a")
        await append(harness.backend, event("a", id="one"))
        async with _transaction(harness) as tx:
            events = [
                event("a"),
                event("b"),
                kept("c"),
                event("a", id="one"),
                event("a", id="two"),
                kept("d", id="two"),
            ]
            assert (await harness.backend.events.append(events, tx=tx)).stored == 3
        assert await names(harness.backend) == ["a", "a", "c", "a"]

    async def test_rolled_back_they_never_were(self, harness: Harness) -> None:
        """Events of a transaction that rolls back are never seen, and their ids are free."""
        await subscribe(harness.backend)
        with suppress(_ChangedMind):
            async with _transaction(harness) as tx:
                await harness.backend.events.append([event(id="one")], tx=tx)
                raise _ChangedMind
        assert await log(harness.backend) == []
        assert await append(harness.backend, event(id="one")) == 1

    async def test_told_of_jobs_once_it_commits(self, harness: Harness) -> None:
        """What a store tells of jobs that are stored in a transaction comes with its commit, and not without it."""
        await subscribe(harness.backend)
        jobs = [new(), new()]
        async with _transaction(harness) as tx:
            await harness.backend.jobs.enqueue([[jobs[0]]], tx=tx)
            assert await log(harness.backend) == []
        with suppress(_ChangedMind):
            async with _transaction(harness) as tx:
                await harness.backend.jobs.enqueue([[jobs[1]]], tx=tx)
                raise _ChangedMind
        found = await log(harness.backend)
        assert [(record.name, record.subject) for record in found] == [("job.enqueued", jobs[0].id)]

    async def test_a_refused_event_leaves_the_transaction_usable(self, harness: Harness) -> None:
        """Content that is refused harms nothing else of the caller's transaction."""
        async with _transaction(harness) as tx:
            with pytest.raises(StoreRefused):
                await harness.backend.events.append([kept("a"), FLAWED["data"]], tx=tx)
            assert (await harness.backend.events.append([kept("b")], tx=tx)).stored == 1
        assert await names(harness.backend) == ["b"]
