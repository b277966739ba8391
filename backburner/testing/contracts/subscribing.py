"""What `EventStore.subscribe` and `EventStore.unsubscribe` promise, and how long a subscription lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND
from backburner.model.event import SubscriptionRecord
from backburner.ports.events import Subscribed, Subscriptions
from backburner.ports.jobs import Keep
from backburner.testing.contracts.telling import (
    append,
    confirm,
    event,
    kept,
    last,
    log,
    names,
    pull,
    subscribe,
)

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["SubscribingContract"]

FOR_EVER = Keep(completed=None, cancelled=None, dead=None)


async def _subscriptions(backend: Backend) -> tuple[SubscriptionRecord, ...]:
    return (await backend.event_reader.subscriptions()).subscriptions


@pytest.mark.anyio
class SubscribingContract:
    """A subscription is asked for by name, and stays as long as somebody renews it."""

    async def test_a_new_one(self, harness: Harness) -> None:
        """A new subscription stands at the end of the log, and is read as it was given, on every connection."""
        now = harness.clock.now()
        await append(harness.backend, kept("before"))
        patterns = ("order.*", "größe.🙂", "a")
        answer = await subscribe(harness.backend, *patterns, name="säb 🙂", kind="kïnd", ttl=2**53 + 1)
        number = answer.last
        record = SubscriptionRecord(
            name="säb 🙂", patterns=patterns, kind="kïnd", ttl=2**53 + 1, cursor=number, created_at=now, seen_at=now
        )
        assert answer == Subscribed(now=now, log=answer.log, last=number, subscription=record)
        assert [one.number for one in await log(harness.backend)] == [number]
        for backend in (harness.backend, await harness.second()):
            expected = Subscriptions(now=now, log=answer.log, last=number, subscriptions=(record,))
            assert await backend.event_reader.subscriptions() == expected
            assert (await pull(backend, "säb 🙂")).events == ()

    async def test_the_name_of_the_log(self, harness: Harness) -> None:
        """The log has one name for all, of lower-case letters and digits."""
        name = (await subscribe(harness.backend)).log
        assert len(name) == 8
        assert {*name} <= {*"0123456789abcdefghijklmnopqrstuvwxyz"}
        for backend in (harness.backend, await harness.second()):
            assert (await subscribe(backend, name="other")).log == name
            assert (await backend.events.pull([], limit=1)).log == name
            assert (await backend.event_reader.read(limit=1)).log == name
            assert (await backend.event_reader.subscriptions()).log == name

    async def test_taken_up_again(self, harness: Harness) -> None:
        """Subscribed again, one stands where it stood: its patterns, kind and ttl are the new ones, and it was seen now."""
        first = await subscribe(harness.backend, "a", kind="one", ttl=SECOND)
        await append(harness.backend, event("a"), event("b"))
        harness.clock.move(60)
        answer = await subscribe(await harness.second(), "b", "c", ttl=2 * SECOND)
        now = harness.clock.now()
        record = SubscriptionRecord(
            name="sub",
            patterns=("b", "c"),
            kind=None,
            ttl=2 * SECOND,
            cursor=first.last,
            created_at=first.now,
            seen_at=now,
        )
        assert answer.subscription == record
        assert answer.last > first.last
        assert await _subscriptions(harness.backend) == (record,)
        assert await append(harness.backend, event("a"), event("b"), event("c")) == 2
        assert await names(harness.backend) == ["a", "b", "c"]
        assert [one.name for one in (await pull(harness.backend)).events] == ["b", "c"]

    async def test_what_was_stored_before_for_others(self, harness: Harness) -> None:
        """A new subscription is handed nothing from before it, however long that was stored, but it can ask for it."""
        await append(harness.backend, kept("a"), kept("a"), kept("a"))
        first, second, _ = [record.number for record in await log(harness.backend)]
        await subscribe(harness.backend, name="new")
        await subscribe(harness.backend, name="behind", after=first)
        await subscribe(harness.backend, name="begins", after=0)
        assert (await pull(harness.backend, "new")).events == ()
        behind = await pull(harness.backend, "behind")
        assert (behind.cursor, [one.number for one in behind.events][:1]) == (first, [second])
        assert len((await pull(harness.backend, "begins")).events) == 3

    async def test_an_old_one_behind_a_number(self, harness: Harness) -> None:
        """One that is there is moved by ``after``, back as well as on; without it, it stays."""
        await subscribe(harness.backend)
        await append(harness.backend, *[event()] * 4)
        numbers = [record.number for record in await log(harness.backend)]
        for after, expected in ((numbers[2], 1), (None, 1), (numbers[0], 3), (numbers[3], 0)):
            answer = await subscribe(harness.backend, after=after)
            assert answer.subscription.cursor == numbers[3 - expected]
            assert len((await pull(harness.backend)).events) == expected

    async def test_unsubscribe(self, harness: Harness) -> None:
        """A subscription that is forgotten asks for nothing more; what is stored stays. There being none is told."""
        await subscribe(harness.backend, "a", name="x")
        await subscribe(harness.backend, "b", name="y")
        await append(harness.backend, event("a"), event("b"))
        assert await (await harness.second()).events.unsubscribe("x")
        assert not await harness.backend.events.unsubscribe("x")
        assert [record.name for record in await _subscriptions(harness.backend)] == ["y"]
        assert await append(harness.backend, event("a"), event("b")) == 1
        assert await names(harness.backend) == ["a", "b", "b"]
        assert await harness.backend.events.unsubscribe("y")
        assert await append(harness.backend, event("a"), event("b")) == 0
        assert await _subscriptions(harness.backend) == ()

    async def test_subscribed_after_it_was_forgotten(self, harness: Harness) -> None:
        """A subscription that was forgotten is a new one: it stands at the end of the log."""
        await subscribe(harness.backend)
        await append(harness.backend, event())
        await harness.backend.events.unsubscribe("sub")
        harness.clock.move(1)
        answer = await subscribe(harness.backend)
        assert answer.subscription.cursor == answer.last == await last(harness.backend)
        assert answer.subscription.created_at == harness.clock.now()
        assert (await pull(harness.backend)).events == ()

    async def test_by_name(self, harness: Harness) -> None:
        """Subscriptions are read by name, by code point."""
        given = ["b", "a", "B", "é", "z", "🙂", "\uffee", "a.b", "ab"]
        for name in given:
            await subscribe(harness.backend, name=name)
        assert [record.name for record in await _subscriptions(harness.backend)] == sorted(given)
        received = (await harness.backend.events.pull(given, limit=1)).received
        assert [one.name for one in received] == sorted(given)

    @pytest.mark.parametrize("fields", [{"name": "a\0"}, {"kind": "a\ud800"}], ids=["name", "kind"])
    async def test_refused_for_its_content(self, harness: Harness, fields: dict[str, Any]) -> None:
        """A subscription that no store can keep is refused."""
        with pytest.raises(StoreRefused):
            await subscribe(harness.backend, **fields)
        with pytest.raises(StoreRefused):
            await subscribe(harness.backend, "a", "b\0")
        assert await _subscriptions(harness.backend) == ()

    # ---- how long it lives -----------------------------------------------------------------------------------------

    async def test_its_time_passes(self, harness: Harness) -> None:
        """One that nobody subscribed under for its ttl is pruned, to the microsecond; what it asked for is stored no more."""
        await subscribe(harness.backend, "a", name="short", ttl=10 * SECOND)
        await subscribe(harness.backend, "b", name="long", ttl=20 * SECOND)
        harness.clock.move(9.999999)
        assert await harness.backend.admin.prune(FOR_EVER, 10) == 0
        assert [record.name for record in await _subscriptions(harness.backend)] == ["long", "short"]
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(FOR_EVER, 10) == 1
        assert [record.name for record in await _subscriptions(harness.backend)] == ["long"]
        assert await append(harness.backend, event("a"), event("b")) == 1
        assert await append(await harness.second(), event("a"), event("b")) == 1

    async def test_seen_again(self, harness: Harness) -> None:
        """Subscribing again renews it, by the new ttl; pulling and confirming do not."""
        await subscribe(harness.backend, name="renewed", ttl=10 * SECOND)
        await subscribe(harness.backend, name="pulled", ttl=10 * SECOND)
        harness.clock.move(6)
        await subscribe(harness.backend, name="renewed", ttl=5 * SECOND)
        await append(harness.backend, event())
        assert await confirm(harness.backend, await pull(harness.backend, "pulled")) is not None
        harness.clock.move(4)
        await harness.backend.admin.prune(FOR_EVER, 10)
        assert [record.name for record in await _subscriptions(harness.backend)] == ["renewed"]
        harness.clock.move(1)
        await harness.backend.admin.prune(FOR_EVER, 10)
        assert await _subscriptions(harness.backend) == ()
