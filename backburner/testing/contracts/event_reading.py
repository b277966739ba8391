"""What `EventReader` promises of how events are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.clock import SECOND
from backburner.ports.jobs import Keep
from backburner.testing.contracts.telling import append, kept, last, log, names, subscribe

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.ports.events import EventPage
    from backburner.testing.harness import Harness

__all__ = ["EventReadingContract"]


async def _read(backend: Backend, *, limit: int = 100, **where: Any) -> EventPage:  # noqa: ANN401 - as `EventReader.read`
    return await backend.event_reader.read(limit=limit, **where)


def _found(page: EventPage) -> str:
    """Return the subjects found, a letter each, in their order."""
    return "".join(record.subject for record in page.events)


async def _pages(backend: Backend, *, limit: int, **where: Any) -> list[str]:  # noqa: ANN401 - as `EventReader.read`
    """Read page after page until the end; return what each found, those without anything left out."""
    found: list[str] = []
    after: int | None = where.pop("after", None)
    for _ in range(100):
        page = await _read(backend, limit=limit, after=after, **where)
        assert len(page.events) <= limit
        if page.events:
            found.append(_found(page))
        if page.end:
            return found
        assert page.upto != after
        after = page.upto
    raise AssertionError("there is no end")


async def _write(backend: Backend, subjects: str, name: str = "a", **fields: Any) -> None:  # noqa: ANN401 - any field
    """Write an event a letter."""
    await append(backend, *[kept(name, subject=letter, **fields) for letter in subjects])


@pytest.mark.anyio
class EventReadingContract:
    """Events are read by number, up or down, a page at a time; reading changes nothing."""

    async def test_an_empty_log(self, harness: Harness) -> None:
        """Of an empty log there is an end at once, either way."""
        log_name = (await subscribe(harness.backend)).log
        for backend in (harness.backend, await harness.second()):
            for newest in (False, True):
                page = await _read(backend, newest=newest)
                assert (page.now, page.log) == (harness.clock.now(), log_name)
                assert (page.events, page.end) == ((), True)
                assert page.pruned <= page.last

    async def test_upwards(self, harness: Harness) -> None:
        """Events are read by number, in pages that go on where the last one came to."""
        await _write(harness.backend, "abcdefg")
        page = await _read(harness.backend)
        assert (_found(page), page.end) == ("abcdefg", True)
        assert page.upto == page.last == page.events[-1].number == await last(harness.backend)
        assert await _pages(harness.backend, limit=3) == ["abc", "def", "g"]
        assert await _pages(harness.backend, limit=1) == [*"abcdefg"]
        numbers = [record.number for record in page.events]
        assert _found(await _read(harness.backend, after=numbers[3])) == "efg"
        page = await _read(harness.backend, after=numbers[6])
        assert (page.events, page.upto, page.end) == ((), numbers[6], True)

    async def test_downwards(self, harness: Harness) -> None:
        """From the newest they are read down, or from below a number, in pages too."""
        await _write(harness.backend, "abcdefg")
        numbers = [record.number for record in await log(harness.backend)]
        page = await _read(harness.backend, newest=True)
        assert (_found(page), page.end) == ("gfedcba", True)
        assert await _pages(harness.backend, limit=3, newest=True) == ["gfe", "dcb", "a"]
        assert _found(await _read(harness.backend, newest=True, after=numbers[3])) == "cba"
        page = await _read(harness.backend, newest=True, after=numbers[0])
        assert (page.events, page.end) == ((), True)

    async def test_the_end(self, harness: Harness) -> None:
        """A page that is full to the last event is the end, unless something lies beyond it; what comes later goes on."""
        await _write(harness.backend, "abc")
        for newest in (False, True):
            assert not (await _read(harness.backend, limit=2, newest=newest)).end
            assert (await _read(harness.backend, limit=3, newest=newest)).end
        page = await _read(harness.backend, limit=3)
        await _write(harness.backend, "de")
        page = await _read(harness.backend, after=page.upto)
        assert (_found(page), page.end) == ("de", True)

    async def test_none_at_all(self, harness: Harness) -> None:
        """Where nothing matches, all was looked at: the next page goes on behind that."""
        await _write(harness.backend, "abc")
        page = await _read(harness.backend, patterns=["b"])
        assert (page.events, page.upto, page.end) == ((), page.last, True)

    async def test_by_patterns(self, harness: Harness) -> None:
        """Those that match one of the patterns are found; no pattern is all."""
        for subject, name in zip(
            "abcde", ("order", "order.paid", "order.paid.late", "orders.paid", "ping"), strict=True
        ):
            await _write(harness.backend, subject, name)
        for patterns, expected in (
            (["order.*"], "bc"),
            (["order"], "a"),
            (["ping", "order.paid.*"], "ce"),
            ({"order.paid", "order.*"}, "bc"),
            (["*"], "abcde"),
            ([], "abcde"),
            (["ord*", "*.paid", "_rder", "order%"], ""),
        ):
            assert _found(await _read(harness.backend, patterns=patterns)) == expected
            assert _found(await _read(harness.backend, patterns=patterns, newest=True)) == expected[::-1]
        assert await _pages(harness.backend, patterns=["order.*", "ping"], limit=2) == ["bc", "e"]

    async def test_about_a_subject(self, harness: Harness) -> None:
        """Those about one subject are found; the empty one is a subject too."""
        await append(harness.backend, *[kept(name, subject=name * at) for name in "ab" for at in range(3)])
        assert [one.subject for one in await log(harness.backend, subject="aa")] == ["aa"]
        assert await names(harness.backend, subject="") == ["a", "b"]
        assert await names(harness.backend, subject="none") == []
        assert len(await names(harness.backend, subject=None)) == 6

    async def test_of_a_time(self, harness: Harness) -> None:
        """Those are found that were written from ``since`` to before ``until``."""
        start = harness.clock.now()
        for letter in "abcd":
            await _write(harness.backend, letter)
            harness.clock.move(1)
        moments = (None, *[start + (at * SECOND) // 2 for at in range(-1, 10)])
        for since in moments:
            for until in moments:
                expected = "".join(
                    letter
                    for at, letter in enumerate("abcd")
                    if (since is None or start + at * SECOND >= since)
                    and (until is None or start + at * SECOND < until)
                )
                for newest in (False, True):
                    found = "".join(await _pages(harness.backend, limit=2, since=since, until=until, newest=newest))
                    assert found == (expected[::-1] if newest else expected), (since, until, newest)

    async def test_by_all_at_once(self, harness: Harness) -> None:
        """Whatever is asked for holds together, both ways, in pages."""
        start = harness.clock.now()
        for at in range(12):
            await append(harness.backend, kept("xy"[at % 2], subject="st"[at // 2 % 2], data=f'{{"at":{at}}}'))
            harness.clock.move(1)
        where: dict[str, Any] = {
            "patterns": ["x"],
            "subject": "s",
            "since": start + SECOND,
            "until": start + 9 * SECOND,
        }
        assert [one.data for one in await log(harness.backend, **where)] == ['{"at":4}', '{"at":8}']
        assert await _pages(harness.backend, limit=1, **where) == ["s", "s"]
        assert await _pages(harness.backend, limit=1, newest=True, **where) == ["s", "s"]

    async def test_after_some_were_deleted(self, harness: Harness) -> None:
        """What was deleted is not read, and the page tells up to where it was; the newest number stays known."""
        before = (await _read(harness.backend)).pruned
        await _write(harness.backend, "abcd")
        assert (await _read(harness.backend)).pruned == before
        numbers = [record.number for record in await log(harness.backend)]
        keep = Keep(completed=None, cancelled=None, dead=None, events=0)
        await harness.backend.admin.prune(keep, 2)
        for newest in (False, True):
            page = await _read(harness.backend, newest=newest)
            assert (_found(page), page.end) == ("dc" if newest else "cd", True)
            assert (page.pruned, page.last) == (numbers[1], numbers[3])
        assert await _pages(harness.backend, limit=1, newest=True) == ["d", "c"]
        await harness.backend.admin.prune(keep, 10)
        page = await _read(harness.backend)
        assert (page.events, page.pruned, page.last, page.end) == ((), numbers[3], numbers[3], True)
        subscribed = await subscribe(harness.backend)
        assert (subscribed.last, subscribed.subscription.cursor) == (numbers[3], numbers[3])

    async def test_subscriptions(self, harness: Harness) -> None:
        """Without a subscription none is read, with the number of the newest event."""
        await _write(harness.backend, "ab")
        found = await harness.backend.event_reader.subscriptions()
        page = await _read(harness.backend)
        assert (found.now, found.subscriptions) == (harness.clock.now(), ())
        assert (found.log, found.last) == (page.log, page.last) == (page.log, page.events[-1].number)
