"""Events of transactions that cross, stay open, or are prepared; and those who number them, at once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest

from backburner.backends.postgres.place import PostgresPlace
from backburner.errors import StoreFull
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.ports.events import Confirmation
from backburner.ports.jobs import GroupAnswer, Keep
from backburner.testing.contracts.making import add, add_claimed, keyed, new, publish, settle
from backburner.testing.contracts.telling import append, confirm, event, kept, last, log, names, pull, subscribe
from tests.servers import postgres
from tests.unit.postgres.stranger import stranger

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.testing import FakeClock
    from tests.servers.postgres import Postgres

#: As many as one sealing numbers, and some.
VERY_MANY = 20_010
#: Takes no job of one key.
FAILING = """
    CREATE FUNCTION {schema}.fill() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.unique_key = 'y7' THEN RAISE disk_full; END IF; RETURN new; END $$;
    CREATE TRIGGER fill BEFORE INSERT ON {schema}.jobs FOR EACH ROW EXECUTE FUNCTION {schema}.fill();
"""
#: Notes each statement that writes events.
NOTING = """
    CREATE TABLE {schema}.written (x int);
    CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO {schema}.written VALUES (1); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON {schema}.unnumbered FOR EACH STATEMENT EXECUTE FUNCTION {schema}.note();
"""


async def _follow(backend: PostgresBackend) -> list[str]:
    """Return the names of what the subscription has before it, and confirm that."""
    received = await pull(backend)
    await confirm(backend, received)
    return [each.name for each in received.events]


async def test_the_later_begun_commits_first(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Of two transactions that cross neither is skipped: who commits later comes later, whoever began or wrote first."""
    await subscribe(backend)
    async with stranger(place) as early, stranger(place) as late:
        await backend.events.append([event("early.1")], tx=early.connection)
        await backend.events.append([event("late")], tx=late.connection)
        await backend.events.append([event("early.2")], tx=early.connection)
        assert await _follow(backend) == []
        await late.commit()
        assert await _follow(backend) == ["late"]
        before = await last(backend)
        await append(backend, event("other"))
        await early.commit()
        assert await _follow(backend) == ["early.1", "early.2", "other"]
    numbers = [each.number for each in await log(backend)]
    assert numbers == list(range(before, before + 4))


async def test_in_the_order_of_a_job(backend: PostgresBackend, place: PostgresPlace) -> None:
    """What happens to a job is told in that order, whichever transaction began first, and whoever reads meanwhile."""
    await publish(backend)
    await subscribe(backend)
    async with stranger(place) as early:
        # It has a transaction id from now on, and a row that comes before all of the job's.
        await backend.events.append([event("early")], tx=early.connection)
        claimed = await add_claimed(backend)
        assert await _follow(backend) == ["job.enqueued", "job.claimed"]
        settled = {"id": claimed.id, "token": claimed.token, "state": "pending", "ending": "failed"}
        await early.call("settle", node="node", others=[settled])
        assert (await backend.admin.cancel([claimed.id])).busy == (claimed.id,)
        assert await _follow(backend) == []
        await early.commit()
    assert (await backend.admin.cancel([claimed.id])).cancelled == (claimed.id,)
    assert await _follow(backend) == ["early", "job.retry", "job.cancelled"]
    found = await log(backend, subject=claimed.id)
    assert [each.name for each in found] == ["job.enqueued", "job.claimed", "job.retry", "job.cancelled"]


async def test_a_publisher_s_transaction_stays_open(backend: PostgresBackend, place: PostgresPlace) -> None:
    """While an app's transaction stays open, all others' events are numbered and handed out; its own come at last."""
    await subscribe(backend, "a.*", "b.*")
    async with stranger(place) as app:
        await backend.events.append([event("a.b", id="theirs"), event("a.c")], tx=app.connection)
        for at in range(3):
            await append(backend, event(f"b.{at}"))
            assert await _follow(backend) == [f"b.{at}"]
        assert await names(backend) == ["b.0", "b.1", "b.2"]
        assert await backend.admin.prune(Keep(completed=None, cancelled=None, dead=None, events=0), 2) == 2
        await app.commit()
    assert await _follow(backend) == ["a.b", "a.c"]
    assert await names(backend) == ["b.2", "a.b", "a.c"]


async def test_one_that_is_open_in_another_database(backend: PostgresBackend, postgres_database: Postgres) -> None:
    """A transaction that has written in another database of the server, and stays open, hides no event."""
    await subscribe(backend)
    async with stranger(PostgresPlace(dsn=postgres_database.url, address="another")) as other:
        await other.connection.execute("CREATE TABLE written (x int)")
        for at in range(3):
            await append(backend, event(f"n{at}"))
            assert await _follow(backend) == [f"n{at}"]


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_one_that_is_prepared(backend: PostgresBackend, place: PostgresPlace, end: str) -> None:
    """A prepared transaction that nobody ends hides nobody else's events; once it is committed its own are numbered."""
    await subscribe(backend)
    name = postgres.fresh()
    async with stranger(place) as app:
        await backend.events.append([event("prepared", id="one")], tx=app.connection)
        await app.connection.execute(f"PREPARE TRANSACTION '{name}'")
        try:
            for at in range(3):
                await append(backend, event(f"n{at}"))
                assert await _follow(backend) == [f"n{at}"]
        finally:
            await app.connection.execute(f"{end} PREPARED '{name}'")
    assert await _follow(backend) == (["prepared"] if end == "COMMIT" else [])


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_two_number_at_once(backend: PostgresBackend, place: PostgresPlace, end: str) -> None:
    """While one numbers, the other waits for nothing, and reads what has a number; no number is given twice."""
    await subscribe(backend)
    await append(backend, event("a"), event("b"))
    before = await last(backend)
    await append(backend, event("c"), event("d"))
    async with stranger(place) as them:
        theirs = await them.call("pull", names=["sub"], limit=9, looked=99)
        assert [each[2] for each in theirs["received"][0]["events"]] == ["a", "b", "c", "d"]
        await append(backend, event("e"))
        received = await pull(backend)
        assert ([each.name for each in received.events], received.upto) == (["a", "b"], before)
        assert await names(backend) == ["a", "b"]
        await append(backend, event("f"))
        await them.connection.execute(end)
    received = await pull(backend)
    assert [(each.number - before, each.name) for each in received.events] == [
        *((-1, "a"), (0, "b"), (1, "c"), (2, "d"), (3, "e"), (4, "f")),
    ]


async def test_subscribing_waits_for_who_numbers(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A new subscription stands at the true end of the log, also while somebody else numbers what was written before."""
    await subscribe(backend, name="old")
    await append(backend, event("a"))
    async with stranger(place) as them:
        await them.call("pull", names=["old"], limit=9, looked=99)
        await append(backend, event("b"))
        task = asyncio.ensure_future(subscribe(backend))
        await them.blocks(task)
        await them.commit()
        answer = await task
    assert answer.subscription.cursor == answer.last == await last(backend)
    assert await names(backend) == ["a", "b"]
    assert await _follow(backend) == []


async def test_one_that_is_open_while_somebody_subscribes(backend: PostgresBackend, place: PostgresPlace) -> None:
    """What was written before somebody subscribed, and is committed after, is handed to him: it lies beyond where he stands."""
    async with stranger(place) as app:
        await backend.events.append([kept("a")], tx=app.connection)
        await subscribe(backend)
        await app.commit()
    assert await _follow(backend) == ["a"]


async def test_very_many_are_numbered_in_several_steps(backend: PostgresBackend) -> None:
    """One step numbers so many at most, and the next goes on; a new subscription stands behind all of them."""
    await subscribe(backend, name="old")
    await append(backend, *[event()] * VERY_MANY)
    assert (await pull(backend, "old", limit=1)).upto == await last(backend) - VERY_MANY + 1
    await append(backend, *[event()] * VERY_MANY)
    answer = await subscribe(backend)
    assert answer.last == answer.subscription.cursor == await last(backend)
    assert answer.last >= 2 * VERY_MANY


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_one_id_in_two_transactions(backend: PostgresBackend, place: PostgresPlace, isolation: str) -> None:
    """Who publishes an id that stands in somebody's open transaction waits for nobody, and in the end there is one."""
    async with stranger(place, f"BEGIN ISOLATION LEVEL {isolation}") as app:
        await backend.events.append([kept("theirs", id="one"), kept("other")], tx=app.connection)
        await append(backend, kept("ours", id="one"))
        await append(backend, kept("again", id="one"))
        assert await names(backend) == ["ours"]
        await app.commit()
    assert await names(backend) == ["ours", "other"]
    async with stranger(place, f"BEGIN ISOLATION LEVEL {isolation}") as app:
        await app.look()
        await append(backend, kept("ours", id="two"))
        await backend.events.append([kept("theirs", id="two")], tx=app.connection)
        await app.commit()
    found = await log(backend)
    assert [each.name for each in found] == ["ours", "other", "ours"]
    assert [each.number - found[0].number for each in found] == [0, 1, 2]


async def test_two_confirm_at_once(patient: PostgresBackend, place: PostgresPlace) -> None:
    """Of two who confirm at once the second waits for the first, and is outrun, or heard if that one gave up."""
    await subscribe(patient)
    await append(patient, event())
    received = await pull(patient)
    part = {"name": "sub", "cursor": received.cursor, "upto": received.upto}
    for end, heard in (("ROLLBACK", True), ("COMMIT", False)):
        async with stranger(place) as them:
            answer = await them.call("confirm", names=["sub"], parts=[part])
            assert answer["parts"] != [None]
            job = new()
            task = asyncio.ensure_future(confirm(patient, received, job))
            await them.blocks(task)
            await them.connection.execute(end)
            assert (await task is not None) is heard
        assert len((await patient.reader.get([job.id])).jobs) == heard
        await subscribe(patient, after=received.cursor)


async def test_a_subscription_that_stays_locked(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A subscription that somebody's open transaction has locked is busy; the others move on meanwhile."""
    await subscribe(backend, name="x")
    await subscribe(backend, name="y")
    await append(backend, event())
    x, y = await pull(backend, "x"), await pull(backend, "y")
    job = await add(backend)
    async with stranger(place) as them:
        lock = f"SELECT FROM {place.schema}.subscriptions WHERE name = 'x' FOR UPDATE"
        await them.connection.execute(lock)
        answer = await confirm(backend, x, new())
        assert answer is not None
        assert answer.busy
        assert await confirm(backend, y, new()) is not None
        await them.commit()
    assert await confirm(backend, x, new(id=job.id)) is not None


async def test_a_job_that_cannot_be_stored_yet(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A confirmation whose job's id stands in somebody's open transaction is busy, and its subscription stays."""
    await subscribe(backend, "a")
    await append(backend, event("a"))
    received = await pull(backend)
    job = new()
    async with stranger(place) as app:
        await backend.jobs.enqueue([[job]], tx=app.connection)
        answer = await confirm(backend, received, job)
        assert answer is not None
        assert answer.busy
        await app.connection.execute("ROLLBACK")
    assert await confirm(backend, received, job) is not None
    assert (await pull(backend)).cursor == received.upto


@pytest.mark.parametrize("fails", [False, True])
async def test_very_many_keys(backend: PostgresBackend, place: PostgresPlace, *, fails: bool) -> None:
    """Confirmations of very many unique keys are several writes; where a later one fails, some may have been heard."""
    if fails:
        async with stranger(place) as them:
            await them.connection.execute(FAILING.replace("{schema}", place.schema))
            await them.commit()
    given: list[Confirmation] = []
    for name in "xyz":
        cursor = (await subscribe(backend, name=name)).last
        jobs = tuple([new(unique=keyed(f"{name}{number}")) for number in range(300)])
        given.append(Confirmation(name=name, cursor=cursor, upto=cursor + 1, jobs=jobs))
    if fails:
        with pytest.raises(StoreFull) as caught:
            await backend.events.confirm(given)
        assert caught.value.stored == "unknown"
    else:
        assert (await backend.events.confirm(given)).groups == (GroupAnswer(),) * 3
    found = (await backend.event_reader.subscriptions()).subscriptions
    moved = [each.cursor - confirmation.cursor for each, confirmation in zip(found, given, strict=True)]
    assert moved == ([1, 0, 0] if fails else [1, 1, 1])


async def test_two_recover_from_one_node(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Of two who take over a dead node's claims at once one tells of it."""
    await publish(backend)
    await publish(backend, "other")
    await publish(backend, "dead")
    for _ in range(3):
        await add_claimed(backend, "dead")
    await subscribe(backend)
    async with backend.keeper() as keeper:
        await keeper.abandon("dead")
    async with stranger(place) as them:
        assert len((await them.call("recover", node="other", limit=1, now=clock.now()))["jobs"]) == 1
        assert len((await backend.jobs.recover("node", 1)).jobs) == 1
        await them.commit()
    assert len((await backend.jobs.recover("node", 9)).jobs) == 1
    (told,) = await log(backend)
    assert (told.name, told.subject, json.loads(told.data)) == ("node.lost", "dead", {"host": "host"})


async def test_one_statement_for_many(backend: PostgresBackend, place: PostgresPlace) -> None:
    """However many jobs a verb changes, what is told of them is written by a few statements, and by none if nobody asks."""
    connection = await asyncpg.connect(place.dsn)
    await connection.execute(NOTING.replace("{schema}", place.schema))
    count = f"SELECT count(*) FROM {place.schema}.written"  # noqa: S608 - our own name
    await publish(backend)

    async def work() -> int:
        # Some of them are looked at one by one.
        jobs = [*[new(parent="p", delay=SECOND) for _ in range(10)], *[new(delay=SECOND) for _ in range(10)]]
        await backend.jobs.enqueue([jobs])
        claims = [await add_claimed(backend) for _ in range(20)]
        for claim in claims[:2]:
            await settle(backend, claim, JobState.PENDING, delay=SECOND)
        await backend.admin.cancel([job.id for job in jobs])
        written: int = await connection.fetchval(count)
        return written

    assert await work() == 0
    await subscribe(backend, "job.*")
    # Enqueued once, then twenty one by one, enqueued and claimed; two settled, all cancelled at once.
    assert await work() == 1 + 2 * 20 + 2 + 1
    await connection.close()
