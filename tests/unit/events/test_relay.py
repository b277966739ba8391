"""The relay: what it does when others are quicker, when a job is refused, and when events have gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from backburner.backends import urls
from backburner.errors import CallRefused
from backburner.events import relay
from backburner.events.relay import PAUSE, Relay
from backburner.events.subscribers import Subscriber, Subscribers
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import JobState, NewJob, UniqueKey
from backburner.model.query import JobFilter
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock
from tests.acceptance.ticking import Heard

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from backburner.events.event import Event
    from backburner.ports.backend import Backend
    from backburner.ports.events import Confirmation, Confirmed


class Node:
    """A relay of a handler, on a store that it shares with others."""

    def __init__(self, backend: Backend, clock: FakeClock) -> None:
        self.heard = Heard()
        self.stored: list[str] = []
        self.clock = clock
        subscribers = Subscribers()
        subscribers.add(
            Subscriber(name="ship", patterns=("order.*", "job.*"), kind="ship", place="here", call=lambda _: None)
        )
        self.relay = Relay(
            subscribers,
            backend.events,
            backend.event_reader,
            ttl=3600 * SECOND,
            build=self._build,
            stored=self._stored,
            clock=clock,
            listener=self.heard,
        )

    def _build(self, subscriber: Subscriber, event: Event) -> NewJob | None:
        job = NewJob(id=event.cursor, kind=subscriber.kind, queue="default", args="{}")
        match event.name:
            case "order.refused":
                raise CallRefused("no")
            case "order.passed":
                return None
            case "order.held":
                return structs.replace(job, unique=UniqueKey("one", (JobState.PENDING,)))
            case "order.bad":
                return structs.replace(job, tags=("\0",))
            case _:
                return job

    def _stored(self, jobs: Sequence[NewJob], now: int) -> None:
        assert now == self.clock.now()
        self.stored += [job.id.partition("-")[2] for job in jobs]

    async def work(self) -> None:
        """Take steps until there is nothing left to do."""
        while (wait := await self.relay.step()) is not None:
            self.clock.move(max(wait, PAUSE))


class Post:
    """A store, and nodes on it."""

    def __init__(self, backend: Backend, clock: FakeClock) -> None:
        self.backend = backend
        self.clock = clock

    def node(self) -> Node:
        """Make one."""
        return Node(self.backend, self.clock)

    async def publish(self, *names: str) -> None:
        """Store events."""
        await self.backend.events.append([NewEvent(name=name) for name in names])

    async def jobs(self) -> list[str]:
        """Return the numbers of the events that have a job, in order."""
        page = await self.backend.reader.find(JobFilter(), limit=10_000)
        return sorted((job.id.partition("-")[2] for job in page.jobs), key=int)


@pytest.fixture
async def post() -> AsyncGenerator[Post]:
    """Bring a store."""
    clock = FakeClock()
    backend = urls.connect(urls.parse("memory://", base=Path.cwd()), clock=clock, write_timeout=5)
    await backend.open(create=True)
    yield Post(backend, clock)
    await backend.close()


async def test_what_cannot_be_a_job_is_told_and_passed_over(post: Post) -> None:
    """Refused when it is made, or by the store for its content: those before and behind have their jobs."""
    node = post.node()
    await node.relay.start()
    await post.publish("order.a", "order.refused", "order.b", "order.bad", "order.passed", "order.c")
    await node.work()
    assert await post.jobs() == node.stored == ["1", "3", "6"]
    assert [fields.get("event") for fields in node.heard.of("event.refused")] == ["order.refused", None]
    assert "NUL" in node.heard.of("event.refused")[1]["why"]
    (standing,) = (await post.backend.event_reader.subscriptions()).subscriptions
    assert standing.cursor >= 6


async def test_two_relays_make_one_job(post: Post) -> None:
    """Both have found the same; one is heard, and the other tells of nothing."""
    first, second = post.node(), post.node()
    await first.relay.start()
    await second.relay.start()
    await post.publish("order.a", "order.b")
    pull = post.backend.events.pull

    async def overtaken(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - those of the store
        found = await pull(*args, **options)
        await second.work()
        return found

    store = post.backend.events
    first.relay._store = Overtaken(store, overtaken)  # type: ignore[assignment]
    await first.relay.step()
    first.relay._store = store
    await first.work()
    assert await post.jobs() == second.stored == ["1", "2"]
    assert first.stored == []


class Overtaken:
    """A store where somebody else is quicker after a look."""

    def __init__(self, store: Any, pull: Any) -> None:  # noqa: ANN401 - as it stands
        self.pull = pull
        self.confirm = store.confirm
        self.subscribe = store.subscribe
        self.append = store.append


async def test_what_holds_a_key_is_not_told_as_stored(post: Post) -> None:
    """Of two with one unique key the second has no job: nobody is told that it has."""
    node = post.node()
    await node.relay.start()
    await post.publish("order.held", "order.held", "order.a")
    await node.work()
    assert await post.jobs() == node.stored == ["1", "3"]


async def test_more_than_one_step_takes(post: Post) -> None:
    """However many there are, all have their jobs."""
    node = post.node()
    await node.relay.start()
    await post.publish(*("order.a" for _ in range(1_200)))
    await node.work()
    assert len(node.stored) == len({*node.stored}) == 1_200


async def test_large_events_are_handed_over_in_portions(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a store which takes long over many of them is not given the same again and again."""
    monkeypatch.setattr(relay, "PORTION", 1_000)
    node = post.node()
    await node.relay.start()
    large = [NewEvent(name="order.a", data=f'{{"text":"{"x" * 400}"}}') for _ in range(5)]
    await post.backend.events.append([*large, NewEvent(name="order.a", data=f'{{"text":"{"x" * 4_000}"}}')])
    sizes: list[int] = []
    store = node.relay._store
    counting = Overtaken(store, store.pull)

    async def confirm(confirmations: Sequence[Confirmation]) -> Confirmed:
        sizes.extend(len(each.jobs) for each in confirmations if each.jobs)
        return await store.confirm(confirmations)

    counting.confirm = confirm
    node.relay._store = counting  # type: ignore[assignment]
    await node.work()
    assert node.stored == ["1", "2", "3", "4", "5", "6"]
    assert sizes == [3, 3]


async def test_lost_events_are_told_once(post: Post) -> None:
    """By the signal of each node that found it, and by one event; what is left is handled."""
    first, second = post.node(), post.node()
    await first.relay.start()
    reading = post.backend.events
    await reading.subscribe(NewSubscription(name="watching", patterns=("events.*",), ttl=3600 * SECOND))
    await post.publish("order.a", "order.b")
    await post.backend.admin.prune(Keep(completed=None, cancelled=None, dead=None, events=0), 100)
    await post.publish("order.c")
    await second.relay._tell_lost(await reading.pull(["ship"], limit=10))
    await first.work()
    assert await post.jobs() == ["3"]
    assert first.heard.of("events.lost") == second.heard.of("events.lost") == [{"subscription": "ship", "upto": 2}]
    (watching,) = (await reading.pull(["watching"], limit=10)).received
    assert [(event.name, event.subject, event.data) for event in watching.events] == [
        ("events.lost", "ship", '{"upto":2}')
    ]


async def test_jobs_of_handlers_elsewhere_are_not_handed_over(post: Post) -> None:
    """Kinds that only other nodes declare as handlers count too."""
    node = post.node()
    await node.relay.start()
    await post.backend.events.subscribe(NewSubscription(name="x", patterns=("*",), kind="other", ttl=3600 * SECOND))
    node.relay._known_at = float("-inf")
    told = [
        NewEvent(name="job.dead", data='{"kind":"other"}'),
        NewEvent(name="job.dead", data='{"kind":"ship"}'),
        NewEvent(name="job.dead", data='{"kind":"work"}'),
        NewEvent(name="order.a", data='{"kind":"other"}'),
    ]
    await post.backend.events.append(told)
    await node.work()
    assert len(node.stored) == 2


async def test_a_step_that_fails_is_taken_again(post: Post) -> None:
    """Whatever raised on the way, in between or after, the next step goes on where it stood."""
    node = post.node()
    await node.relay.start()
    await post.publish("order.a")
    store = node.relay._store
    for name in ("pull", "confirm"):
        failing = Overtaken(store, store.pull)

        async def fail(*_args: object, **_options: object) -> object:
            raise ConnectionError

        setattr(failing, name, fail)
        node.relay._store = failing  # type: ignore[assignment]
        with pytest.raises(ConnectionError):
            await node.relay.step()
        post.clock.move(PAUSE)
    node.relay._store = store
    await node.work()
    assert node.stored == ["1"]
