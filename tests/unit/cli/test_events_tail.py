"""`backburner events tail`: what it shows, what it asks for meanwhile, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
import msgspec
import pytest

from backburner.backends.memory import MemoryBackend
from backburner.backends.memory.database import MemoryDatabase
from backburner.cli import render
from backburner.cli.events.follower import PAUSE, TTL, Follower
from backburner.cli.events.log import Log
from backburner.cli.events.record import EVENTS, Logged
from backburner.cli.exits import Exit, Failed
from backburner.errors import EventsGone, InvalidCursor, StoreDenied, StoreReadOnly, StoreUnavailable
from backburner.model.clock import SECOND
from backburner.model.event import EventRecord, NewEvent, NewSubscription
from backburner.ports.jobs import Keep
from backburner.testing.clock import FakeClock
from tests.stores import SHARED, empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.model.event import SubscriptionRecord
    from tests.unit.cli.conftest import Run


class _House:
    """A store in memory, and one who follows its events, each with a connection of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        database = MemoryDatabase()
        self.store = MemoryBackend(self.clock, database)
        self.seen: list[str] = []
        self._theirs = MemoryBackend(self.clock, database)
        self._task: asyncio.Task[None] | None = None

    async def follow(self, *patterns: str, since: int | None = None, after: str | None = None) -> None:
        """Begin to follow."""
        log = Log(self._theirs)
        await log.open()
        follower = Follower(log, patterns, subject=None, since=since, clock=self.clock)

        async def show() -> None:
            async with follower.asking(after):
                async for page in follower.pages():
                    self.seen += [event.record.name for event in page]

        self._task = asyncio.create_task(show())
        await self.clock.settle()

    async def tell(self, *names: str) -> None:
        """Store events, and let a look pass."""
        await self.store.events.append([NewEvent(name=name) for name in names])
        await self.clock.advance(PAUSE)

    async def asked(self) -> tuple[SubscriptionRecord, ...]:
        return (await self.store.event_reader.subscriptions()).subscriptions

    async def cursor(self) -> str:
        known = await self.store.event_reader.subscriptions()
        return f"{known.log}-{known.last}"

    async def forget(self, *, older: int = 0) -> None:
        """Delete events that are older, in microseconds."""
        await self.store.admin.prune(Keep(completed=None, cancelled=None, dead=None, events=older), 100)

    async def ended(self) -> None:
        """Wait for its end, and raise what ended it."""
        assert self._task is not None
        await self._task

    async def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def lose(self) -> None:
        """Have the store be out of its reach."""
        await self._theirs.close()

    def refuse(self, error: Exception, *, verb: str = "") -> None:
        """Have its connection write nothing: already when it is opened, or by this verb."""
        theirs: Any = self._theirs
        if verb:
            theirs.events = _Refusing(error)
            return
        opened = theirs.open

        async def refusing(*, create: bool, write: bool = True) -> None:
            if write:
                raise error
            await opened(create=create, write=write)

        theirs.open = refusing


class _Refusing:
    """Events of a store that this user may not write to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def subscribe(self, _: NewSubscription) -> None:
        raise self._error

    async def unsubscribe(self, _: str) -> bool:
        raise self._error


@pytest.fixture
async def house() -> AsyncIterator[_House]:
    """Bring a store, whose follower is gone when the test is over."""
    made = _House()
    await made.store.open(create=True)
    yield made
    await made.interrupt()
    await made.store.close()


async def test_what_it_asks_for_is_stored(house: _House, capsys: pytest.CaptureFixture[str]) -> None:
    """From its beginning to its end its events are stored, and shown in their order; then nobody asks any more."""
    await house.tell("order.early")
    await house.follow("order.*", "stock.low")
    (asked,) = await house.asked()
    assert asked.name.startswith("tail:")
    assert (asked.patterns, asked.kind, asked.ttl) == (("order.*", "stock.low"), None, TTL)
    await house.tell("order.placed", "user.new", "stock.low")
    await house.tell("order.paid")
    assert house.seen == ["order.placed", "stock.low", "order.paid"]
    await house.interrupt()
    assert await house.asked() == ()
    assert capsys.readouterr().err == f"asking for order.*, stock.low as {asked.name}; Ctrl-C ends it\n"


async def test_from_a_place_of_the_log(house: _House) -> None:
    """It begins behind a cursor, or with what was stored since a moment because others asked for it, without a seam."""
    await house.store.events.subscribe(NewSubscription(name="audit", patterns=("*",), ttl=3600 * SECOND))
    await house.tell("one", "two")
    place, moment = await house.cursor(), house.clock.now()
    await house.tell("three")
    await house.follow("*", after=place)
    assert house.seen == ["three"]
    await house.interrupt()
    await house.follow("*", since=moment)
    await house.tell("four")
    assert house.seen == ["three", "three", "four"]
    await house.interrupt()
    await house.follow("*", after="elsewhere-1")
    with pytest.raises(InvalidCursor):
        await house.ended()


async def test_it_stays_known(house: _House) -> None:
    """However long it follows, the store does not forget it, and knows how far it has come."""
    await house.follow("order.*")
    await house.tell("order.placed")
    first = await house.asked()
    await house.clock.advance(3 * TTL / SECOND)
    await house.store.admin.prune(Keep(completed=None, cancelled=None, dead=None), 100)
    (now,) = await house.asked()
    assert (now.name, now.created_at) == (first[0].name, first[0].created_at)
    assert now.cursor == 1
    await house.tell("order.paid")
    assert house.seen == ["order.placed", "order.paid"]


async def test_it_was_removed(house: _House) -> None:
    """Where its subscription was removed it ends, since events may be missing, and leaves none behind."""
    await house.follow("order.*")
    await house.tell("order.placed")
    (asked,) = await house.asked()
    await house.store.events.unsubscribe(asked.name)
    await house.tell("order.paid")
    await house.clock.advance(TTL / SECOND)
    with pytest.raises(Failed, match=f"{asked.name} was removed.*--after {await house.cursor()} goes on") as caught:
        await house.ended()
    assert caught.value.exit_code == Exit.PARTLY
    assert await house.asked() == ()


async def test_events_are_gone(house: _House) -> None:
    """What was deleted before it was shown is never passed over in silence."""
    await house.follow("order.*")
    await house.tell("order.placed")
    await house.store.events.append([NewEvent(name="order.paid")])
    house.clock.move(1)
    await house.forget()
    await house.clock.advance(PAUSE)
    with pytest.raises(EventsGone, match=r"--after .* goes on behind them") as caught:
        await house.ended()
    assert caught.value.after == await house.cursor()
    assert house.seen == ["order.placed"]


async def test_the_beginning_is_gone(house: _House) -> None:
    """Since a moment is what there still is."""
    await house.store.events.subscribe(NewSubscription(name="audit", patterns=("*",), ttl=3600 * SECOND))
    await house.tell("one")
    house.clock.move(60)
    await house.tell("two")
    await house.forget(older=30 * SECOND)
    await house.follow("*", since=0)
    assert house.seen == ["two"]


@pytest.mark.parametrize(
    ("error", "verb"),
    [
        (StoreReadOnly("it is a replica", stored="no"), ""),
        (StoreDenied("permission denied", stored="no"), "subscribe"),
    ],
    ids=["opened", "denied"],
)
async def test_where_nothing_may_be_written(
    house: _House, error: Exception, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It shows what others ask for, and says so."""
    house.refuse(error, verb=verb)
    await house.store.events.subscribe(NewSubscription(name="audit", patterns=("stock.*",), ttl=3600 * SECOND))
    await house.tell("stock.early")
    await house.follow("*")
    assert [each.name for each in await house.asked()] == ["audit"]
    await house.tell("stock.low", "order.paid")
    assert house.seen == ["stock.low"]
    assert capsys.readouterr().err == (
        "memory:// cannot be written to from here: this shows what is stored of *, since others ask for it, or always "
        "(operator.*); Ctrl-C ends it\n"
    )
    await house.clock.advance(TTL / SECOND)
    await house.tell("stock.low")
    assert house.seen == ["stock.low", "stock.low"]


async def test_the_store_goes_away(house: _House, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends, and says how to go on."""
    await house.follow("order.*")
    await house.tell("order.placed")
    await house.lose()
    await house.clock.advance(PAUSE)
    with pytest.raises(StoreUnavailable):
        await house.ended()
    assert capsys.readouterr().err.splitlines()[-1] == f"--after {await house.cursor()} goes on from here"


async def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """For people there is one heading, and columns only grow wider."""
    monkeypatch.setenv("COLUMNS", "80")
    record = EventRecord(number=1, id=None, name="", subject="s", time=SECOND, data='{"by":"ada"}')

    async def pages() -> AsyncIterator[Sequence[Logged]]:
        for page in (["a.b"], [], ["order.paid", "c"], ["d"]):
            yield [Logged("k", msgspec.structs.replace(record, name=name)) for name in page]

    await render.following(render.Mode.TABLE, pages(), EVENTS)
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert [line.rstrip() for line in lines] == [
        "TIME                  EVENT  SUBJECT  DATA",
        "1970-01-01T00:00:01Z  a.b    s        by=ada",
        "1970-01-01T00:00:01Z  order.paid  s        by=ada",
        "1970-01-01T00:00:01Z  c           s        by=ada",
        "1970-01-01T00:00:01Z  d           s        by=ada",
    ]


class _Tail:
    """The command, as a process under way."""

    def __init__(self, url: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backburner", "events", "tail", "--url", url, *options],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Whatever hangs ends with its death.
        self._last_resort = threading.Timer(60, self.process.kill)
        self._last_resort.start()
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        self.out = self.process.stdout
        self.begun = self.process.stderr.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last_resort.cancel()
        with self.process:
            self.process.kill()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and the rest of what it said on stderr."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        return self.process.wait(), said


@pytest.mark.parametrize("kind", SHARED)
def test_interrupted(kind: str, run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Ctrl-C ends it with 130 and without a word too many; its subscription ends with it."""
    place = empty_store(kind, request, tmp_path)
    assert run("db", "upgrade", "--url", place).code == 0
    with _Tail(place, "--name", "operator.*", "--json") as tail:
        assert tail.begun.startswith("asking for operator.* as tail:")
        assert run("events", "subscriptions", "--url", place).out.startswith("tail:")
        assert run("queues", "pause", "mail", "--anyway", "--by", "ada", "--url", place).code == 0
        told = json.loads(tail.out.readline())
        assert (told["name"], told["subject"], told["data"]) == ("operator.queue.paused", "mail", {"by": "ada"})
        tail.process.send_signal(signal.SIGINT)
        assert tail.end() == (130, "\ninterrupted\n")
    assert run("events", "subscriptions", "--url", place).code == 3


@pytest.mark.parametrize("comes", [True, False], ids=["an event comes", "nothing comes"])
def test_a_closed_pipe(url: str, run: Run, *, comes: bool) -> None:
    """Who goes away, as `head` does, ends it without a traceback, and its subscription too, whether or not anything comes."""
    assert run("db", "upgrade").code == 0
    with _Tail(url) as tail:
        tail.out.close()
        if comes:
            assert run("queues", "pause", "mail", "--anyway").code == 0
        assert tail.end() == (141, "")
    assert run("events", "subscriptions").code == 3
