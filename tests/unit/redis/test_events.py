"""Events on Redis: what they cost, that no bit of them is lost, how they are fetched, what a full store does with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.backends.redis import recording
from backburner.backends.redis.backend import RedisBackend
from backburner.errors import StoreFull
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.model.lane import Limit
from backburner.model.node import KindRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.ports.events import Confirmation
from backburner.ports.jobs import Birth, Keep
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    ask,
    claim,
    dead,
    new,
    publish,
    put,
    recover,
    settle,
    to_settle,
)
from backburner.testing.contracts.scheduling import change, fire
from backburner.testing.contracts.telling import append, event, kept, last, log, names, pull, subscribe, told
from tests.servers.redis import serve
from tests.unit.redis.conftest import store
from tests.unit.redis.test_scripts_bounds import calls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.servers.redis import Namespace
    from tests.unit.redis.conftest import Opened

BIGGEST = (1 << 63) - 1
#: Keeps nothing that has ended, and no event.
AT_ONCE = Keep(completed=0, cancelled=0, dead=0, ticks=0, events=0)


# ---- what they cost ----------------------------------------------------------------------------------------------------


async def test_where_nobody_asks_a_verb_looks_once(backend: RedisBackend, session: Session) -> None:
    """Without a subscription each verb that tells of jobs looks once, however many there are; nothing is written of them."""
    await publish(backend)
    looks: list[int] = []

    async def counted(verb: Awaitable[object]) -> None:
        await session.client.call("CONFIG", "RESETSTAT")
        await verb
        cost = await calls(session)
        assert cost["hincrby"] == cost["hexists"] == 0
        looks.append(cost["exists"])

    jobs = [new() for _ in range(50)]
    born = new(queue="born")
    await counted(backend.jobs.enqueue([[*jobs, born]], Birth("node", {born.id: 1})))
    claims = await claim(backend, limit=40)
    ends = [to_settle(each) for each in claims[:20]]
    ends += [to_settle(each, JobState.PENDING, ending=Ending.FAILED, failed=1) for each in claims[20:]]
    await counted(backend.jobs.settle("node", ends, ask(limit=5)))
    await counted(backend.admin.cancel([job.id for job in jobs]))
    letters = [await dead(backend, queue="letters") for _ in range(4)]
    await counted(backend.admin.replay(letters[:2]))
    await counted(backend.admin.purge(letters[2:]))
    await counted(backend.events.append([event() for _ in range(50)]))
    await counted(backend.nodes.drain("node", [event()]))
    assert looks == [1] * len(looks)


async def test_a_batch_is_told_in_few_steps(backend: RedisBackend, session: Session) -> None:
    """The events of hundreds of jobs are written by as many commands as those of one."""
    await publish(backend)
    await subscribe(backend, "job.enqueued", "job.claimed")

    async def cost(count: int) -> dict[str, int]:
        await session.client.call("CONFIG", "RESETSTAT")
        await backend.jobs.enqueue([[new()] for _ in range(count)])
        assert len(await claim(backend, limit=count)) == count
        return await calls(session)

    await cost(1)
    one = await cost(1)
    assert (one["evalsha"], one["hincrby"]) == (2, 2)
    assert await cost(500) == one


async def test_very_many_are_appended_in_portions(backend: RedisBackend, session: Session) -> None:
    """No script stores more than some hundreds, and an id of a former portion is stored once."""
    events = [kept(id=str(at % 1100)) for at in range(1200)]
    await session.client.call("CONFIG", "RESETSTAT")
    assert await append(backend, *events) == 1100
    assert (await calls(session))["evalsha"] == 3
    assert await last(backend) == 1100


async def test_an_event_is_fetched_once_for_all(backend: RedisBackend, session: Session) -> None:
    """Subscriptions that stand near each other share what is fetched; where all have seen all, nothing is."""
    subscriptions = [f"sub {at}" for at in range(10)]
    for name in subscriptions:
        await subscribe(backend, name=name)
    await append(backend, *[event() for _ in range(800)])
    # The scripts are loaded.
    await backend.events.pull(subscriptions, limit=1)

    async def cost() -> int:
        await session.client.call("CONFIG", "RESETSTAT")
        found = (await backend.events.pull(subscriptions, limit=1000)).received
        at_once = [Confirmation(name=one.name, cursor=one.cursor, upto=one.upto) for one in found]
        fetched = (await calls(session))["evalsha"]
        await backend.events.confirm(at_once)
        return fetched

    # Who they are, and two steps of 500.
    assert await cost() == 3
    assert await cost() == 1


# ---- what is kept ------------------------------------------------------------------------------------------------------


async def test_no_bit_is_lost(backend: RedisBackend) -> None:
    """The greatest numbers come back exactly, and stand for themselves where they are compared."""
    answer = await subscribe(backend, ttl=BIGGEST, after=BIGGEST - 1)
    assert (answer.subscription.ttl, answer.subscription.cursor) == (BIGGEST, BIGGEST - 1)
    received = await pull(backend)
    assert (received.cursor, received.upto, received.events, received.lost) == (BIGGEST - 1, BIGGEST - 1, (), None)
    near = Confirmation(name="sub", cursor=BIGGEST, upto=0)
    assert (await backend.events.confirm([near])).groups == (None,)
    await backend.admin.prune(AT_ONCE, 10)
    assert (await pull(backend)).name == "sub"


@pytest.mark.parametrize("micros", [1, 10, 999_999, 1_000_000, 1_000_001, 3_600_000_000, (1 << 52) + 1])
async def test_a_delay_is_told_to_the_microsecond(backend: RedisBackend, micros: int) -> None:
    """A delay is told in seconds, with as many places as it needs."""
    await publish(backend)
    claimed = await add_claimed(backend)
    await subscribe(backend)
    await settle(backend, claimed, JobState.PENDING, delay=micros)
    ((_, data),) = await told(backend)
    assert data["delay"] == micros / SECOND
    whole = (await log(backend))[0].data.partition('"delay":')[2]
    assert whole == f"{micros // SECOND}.{micros % SECOND:06}".rstrip("0").rstrip(".") + "}"


async def test_a_store_of_an_older_version_is_given_a_name(
    backend: RedisBackend, session: Session, clock: FakeClock
) -> None:
    """The log of a store that has none is named when the store is opened for writing, and keeps that name for ever."""
    place = backend._session.place
    named = (await subscribe(backend)).log
    await session.client.call("HDEL", session.keys.meta, "log", "last", "pruned")
    reader = RedisBackend(place, clock=clock)
    await reader.open(create=False, write=False)
    found = await reader.event_reader.read(limit=1)
    assert (found.log, found.last, found.end) == ("", 0, True)
    await reader.close()
    opened = []
    for _ in range(2):
        other = RedisBackend(place, clock=clock)
        await other.open(create=False)
        opened.append((await other.event_reader.read(limit=1)).log)
        await other.close()
    assert opened[0] == opened[1] != named
    assert len(opened[0]) == 8


async def test_no_key_is_left(backend: RedisBackend, redis_namespace: Namespace) -> None:
    """When subscriptions are gone and events pruned, nothing is left but the log's own numbers."""
    await subscribe(backend, "a.*", "b")
    await subscribe(backend, "b", name="other")
    await append(backend, event("a.b", id="one"), event("b", id="two"), kept("c"))
    for name in ("sub", "other"):
        assert await backend.events.unsubscribe(name)
    assert await backend.admin.prune(AT_ONCE, 10) == 3
    left = redis_namespace.keys()
    assert left == [f"{redis_namespace.name}:meta"]
    assert await append(backend, kept(id="one")) == 1
    assert await last(backend) == 4


async def test_more_than_a_prune_looks_at_in_one_go(backend: RedisBackend, clock: FakeClock) -> None:
    """However many events a prune deletes, it deletes as many as it may, and stops at the first that is to be kept."""
    await append(backend, *[kept(id=str(at)) for at in range(1300)])
    clock.move(1)
    await append(backend, kept("young"))
    keep = Keep(completed=None, cancelled=None, dead=None, events=SECOND)
    assert await backend.admin.prune(keep, 1100) == 1100
    assert await backend.admin.prune(keep, 1100) == 200
    assert await names(backend) == ["young"]
    assert await append(backend, *[kept(id=str(at)) for at in range(1300)]) == 1300


# ---- what is fetched ---------------------------------------------------------------------------------------------------


async def test_what_is_deleted_meanwhile_is_lost(
    backend: RedisBackend, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscription is told of what was deleted between two steps of one pull, and handed what is left."""
    await subscribe(backend, "wanted")
    await append(backend, *[kept("other") for _ in range(700)])
    clock.move(1)
    await append(backend, event("wanted"))
    read = backend._session.scripts.read
    fetched = 0

    async def pruned_meanwhile(name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int] = ()) -> object:
        nonlocal fetched
        fetched += name == "read_events"
        if name == "read_events" and fetched == 2:
            keep = Keep(completed=None, cancelled=None, dead=None, events=SECOND)
            assert await backend.admin.prune(keep, 1000) == 700
        return await read(name, keys, args)

    monkeypatch.setattr(backend._session.scripts, "read", pruned_meanwhile)
    received = await pull(backend)
    assert (received.lost, received.upto, len(received.events)) == (700, 701, 1)


async def test_those_who_stand_apart(backend: RedisBackend) -> None:
    """Each is handed its own, however far apart they stand and however little each takes."""
    await append(backend, *[kept(subject=str(at)) for at in range(1, 1501)])
    afters = {"a": 0, "b": 3, "c": 499, "d": 500, "e": 1400, "f": 1500}
    for name, after in afters.items():
        await subscribe(backend, name=name, after=after)
    for limit in (1, 100, 501, 2000):
        for one in (await backend.events.pull(afters, limit=limit)).received:
            begin = afters[one.name]
            assert [record.number for record in one.events] == [*range(begin + 1, min(begin + limit, 1500) + 1)]
            assert one.upto == min(begin + limit, 1500)


async def test_names_that_none_has(backend: RedisBackend) -> None:
    """Names that no text has are asked for, confirmed and forgotten like others that do not exist."""
    assert (await backend.events.pull(["\0", "\ud800"], limit=1)).received == ()
    assert not await backend.events.unsubscribe("\ud800")
    assert (await backend.events.confirm([Confirmation(name="\ud800", cursor=0, upto=1)])).groups == (None,)


# ---- a full store ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("servers")
async def test_a_full_store(opened: Opened, clock: FakeClock) -> None:
    """A server without memory refuses events that come alone; those of what it does not refuse are stored with that."""
    with serve() as server:
        async with store(server.url, clock) as backend, opened(server.url) as session:
            await publish(backend)
            await subscribe(backend)
            running, letter = await add_claimed(backend, queue="q"), await dead(backend)
            waiting, due = await add(backend, delay=SECOND), await add(backend)
            start = await last(backend)
            await session.client.call("CONFIG", "SET", "maxmemory", 1)
            received = await pull(backend)
            refused: dict[str, Callable[[], Awaitable[object]]] = {
                "append": lambda: append(backend, event()),
                "enqueue": lambda: put(backend, new()),
                "replay": lambda: backend.admin.replay([letter]),
                "change": lambda: change(backend, fire(new())),
                "confirm": lambda: backend.events.confirm(
                    [Confirmation(name="sub", cursor=received.cursor, upto=received.upto, jobs=(new(),))]
                ),
            }
            for verb in refused.values():
                with pytest.raises(StoreFull) as full:
                    await verb()
                assert full.value.stored == "no"
            assert (await last(backend), (await pull(backend)).cursor) == (start, received.cursor)
            assert (await subscribe(backend, "a", "b", name="new")).last == start
            assert await backend.events.unsubscribe("new")
            moved = Confirmation(name="sub", cursor=received.cursor, upto=start)
            assert (await backend.events.confirm([moved])).groups != (None,)
            await settle(backend, running, JobState.DEAD, reason="x")
            assert [claimed.id for claimed in await claim(backend)] == [due.id]
            await backend.admin.cancel([waiting.id])
            await backend.admin.purge([letter])
            await backend.queues.set(QueueRecord(name="q"), [event("1")])
            await backend.kinds.set(KindRecord(name="k"), [event("2")])
            await backend.limits.override("x", Limit(slots=1), by=None, reason=None, events=[event("3")])
            await backend.cells.swap("x", "1", 0, events=[event("4")])
            await backend.operations.put(OperationRecord(id="01", action="purge", state="{}"), [event("5")])
            assert await backend.nodes.drain("node", [event("6")])
            await backend.nodes.withdraw("node", [event("7")])
            assert (await recover(backend)).jobs
            assert await names(backend, after=start) == [
                "job.dead",
                "job.claimed",
                "job.cancelled",
                "job.purged",
                *"1234567",
            ]
            assert await backend.admin.prune(AT_ONCE, 100) > 10


@pytest.mark.parametrize("value", ["x/y", "\\/", "\\\\//", "/", "a\\"])
def test_slashes_are_told_as_other_stores_tell_them(value: str) -> None:
    """Scripts escape slashes in JSON; what is read does not, and means the same."""
    written = json.dumps({"value": value}).replace("/", "\\/")
    read = recording.event(1, msgspec.msgpack.encode((0, None, "job.dead", "a", written))).data
    assert json.loads(read) == {"value": value}
    assert "\\/" not in read.replace("\\\\", "")
