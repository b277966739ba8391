"""The schema's steps and functions, made by the engine and by other tools."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.backends.postgres.schema import functions_checksum
from backburner.backends.postgres.statements import fill, load, read_all
from backburner.errors import StoreError
from backburner.model.job import NewJob
from backburner.model.query import JobFilter
from backburner.testing.contracts.scheduling import plan
from tests.servers import postgres

if TYPE_CHECKING:
    from backburner.testing import FakeClock
    from tests.servers.postgres import Postgres


def test_functions_change_with_the_newest_step() -> None:
    """The newest step names the functions that go with it: whoever changes one writes a step, or it reaches no store."""
    newest = [*read_all("tables").values()][-1]
    assert f"-- functions: {functions_checksum()}\n" in newest


def test_every_file_is_about_one_schema(place: PostgresPlace, clock: FakeClock) -> None:
    """Whatever the schema is called, no mark is left, and nothing of another is named."""
    for name in ("backburner", place.schema):
        other = PostgresPlace(dsn="postgresql://", schema=name, address="nowhere")
        schema = PostgresBackend(other, clock=clock).schema
        sql = "".join(step.sql for step in schema.steps) + schema.grants('ro"le')
        assert re.findall(r"\{(schema|literal|version|name|checksum|functions|role)\}", sql) == []
        assert f'CREATE TABLE "{name}".jobs' in sql
        assert sql.count("CREATE SCHEMA") == 1
        assert 'TO "ro""le";' in sql


async def test_checksums_are_of_the_files(backend: PostgresBackend, place: PostgresPlace) -> None:
    """What is written down of a step is the same whatever the schema is called, so that it may be compared."""
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        query = SQL("SELECT version, checksum FROM {} ORDER BY 1").format(Identifier(place.schema, "migrations"))
        applied: dict[int, str] = dict(connection.execute(query).fetchall())
    files = [hashlib.sha256(text.encode()).hexdigest() for text in read_all("tables").values()]
    assert [*applied.values()] == files
    assert [*applied] == [step.version for step in backend.schema.steps]


async def test_many_upgrade_at_once(place: PostgresPlace, clock: FakeClock) -> None:
    """However many processes upgrade an empty store at the same time, one does, and the others see it done."""
    backends = [PostgresBackend(place, clock=clock) for _ in range(5)]
    for backend in backends:
        await backend.open(create=True)
    states = await asyncio.gather(*[backend.schema.upgrade() for backend in backends])
    assert sorted(len(state.pending) for state in states) == [0] * 4 + [len(backends[0].schema.steps)]
    for backend in backends:
        assert (await backend.schema.state()).pending == ()
        await backend.close()


async def test_a_step_that_fails_leaves_nothing(place: PostgresPlace, clock: FakeClock) -> None:
    """An upgrade is one transaction: where a step fails, nothing of it, nor of those before, is there."""
    backend = PostgresBackend(place, clock=clock)
    await backend.open(create=True)
    backend.schema._files[-1].text += "SELECT 1/0;\n"
    with pytest.raises(StoreError):
        await backend.schema.upgrade()
    assert (await backend.schema.state()).current == 0
    with psycopg.connect(place.dsn) as connection:
        count = "SELECT count(*) FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = %s"
        assert connection.execute(count, (place.schema,)).fetchone() == (0,)
    await backend.close()


async def test_a_store_of_the_first_step(place: PostgresPlace, clock: FakeClock) -> None:
    """A store made before there were schedules is upgraded with all that is in it, and then keeps schedules."""
    backend = PostgresBackend(place, clock=clock)
    with psycopg.connect(place.dsn) as connection:
        connection.execute(backend.schema.steps[0].sql)
        given = SQL("""
            INSERT INTO {0}.nodes (id, host, pid, started_at, queues, kinds, signatures, lease_until)
            VALUES ('node', 'host', 1, 1, '{{}}', '{{}}', '{{}}', 0);
            INSERT INTO {0}.jobs (id, kind, queue, priority, created_at, due_at, args)
            VALUES ('job', 'kind', 'queue', 5, 1, 1, '{{}}')
        """)
        connection.execute(given.format(Identifier(place.schema)))
    await backend.open(create=False)
    before = await backend.schema.upgrade()
    assert (before.current, before.pending) == (1, backend.schema.steps[1:])
    assert [(node.id, node.schedules) for node in await backend.nodes.find()] == [("node", ())]
    planned = await plan(backend, due_at=1, last_job="job")
    due = await backend.schedules.due(5)
    assert (due.schedules, due.unended) == ((planned,), frozenset({planned.name}))
    await backend.close()


async def test_a_store_of_the_step_before(place: PostgresPlace, clock: FakeClock) -> None:
    """A store made before jobs could be brought forward is upgraded by functions alone."""
    backend = PostgresBackend(place, clock=clock)
    await backend.open(create=True)
    await backend.schema.upgrade()
    with psycopg.connect(place.dsn) as connection:
        given = SQL("DROP FUNCTION {0}.expedite(json); DELETE FROM {0}.migrations WHERE version = 5")
        connection.execute(given.format(Identifier(place.schema)))
    before = await backend.schema.upgrade()
    assert (before.current, before.pending) == (4, backend.schema.steps[4:])
    await backend.jobs.enqueue([[NewJob(id="job", kind="kind", queue="queue", args="{}", delay=1)]])
    assert (await backend.admin.expedite(["job"])).expedited == ("job",)
    await backend.close()


async def test_roles_keep_their_rights(place: PostgresPlace, clock: FakeClock) -> None:
    """Who could work with jobs before they were told of still can, and who could only read them reads events too."""
    backend = PostgresBackend(place, clock=clock)
    worker, reader = postgres.fresh(), postgres.fresh()
    older = SQL("""
        CREATE ROLE {1}; CREATE ROLE {2};
        GRANT USAGE ON SCHEMA {0} TO {1}, {2};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {0} TO {1};
        GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO {2}
    """)
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        for step in backend.schema.steps[:3]:
            connection.execute(step.sql)
        connection.execute(older.format(Identifier(place.schema), Identifier(worker), Identifier(reader)))
        try:
            await backend.open(create=False)
            await backend.schema.upgrade()
            connection.execute(SQL("SET ROLE {}").format(Identifier(worker)))
            enqueue = SQL("SELECT {}.enqueue(%s)").format(Identifier(place.schema))
            job = '{"tail":[{"id":"job","kind":"kind","queue":"queue","args":"{}"}]}'
            connection.execute(enqueue, (job,))
            append = SQL("SELECT {}.append(%s)").format(Identifier(place.schema))
            connection.execute(append, ('{"events":[{"name":"a","kept":true}]}',))
            read = SQL("SELECT {}.read_events(%s) -> 'last'").format(Identifier(place.schema))
            assert connection.execute(read, ('{"seal":true,"limit":1,"looked":1}',)).fetchone() == (1,)
            connection.execute(SQL("SET ROLE {}").format(Identifier(reader)))
            assert connection.execute(read, ('{"limit":1,"looked":1}',)).fetchone() == (1,)
            timings = fill(load("timings", place.schema).replace("{where}", "true"), place.schema)
            given = "PREPARE timings (bigint, text, bigint, bigint, text, bigint) AS " + timings
            connection.execute(given)
            assert connection.execute("EXECUTE timings (1, 'completed', 1, 1, '', 1)").fetchone() == ("[1, []]",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(append, ('{"events":[{"name":"a","kept":true}]}',))
        finally:
            await backend.close()
            connection.execute("RESET ROLE")
            for role in (worker, reader):
                connection.execute(SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(Identifier(role)))


async def test_a_log_has_a_name_of_its_own(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Another store's log has another name; read anew, one has the name that it had."""
    other = PostgresBackend(PostgresPlace(dsn=place.dsn, schema=f"{place.schema}_too", address="it"), clock=clock)
    await other.open(create=True)
    await other.schema.upgrade()
    first, second = [(await each.event_reader.read(limit=1)).log for each in (backend, other)]
    assert first != second
    assert (await backend.event_reader.subscriptions()).log == first
    await other.close()
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(f"{place.schema}_too")))


async def test_made_by_another_tool(place: PostgresPlace, clock: FakeClock) -> None:
    """What `backburner db sql` prints makes the whole store, in one transaction or statement by statement."""
    backend = PostgresBackend(place, clock=clock)
    with psycopg.connect(place.dsn) as connection:
        for step in backend.schema.steps:
            connection.execute(step.sql)
    await backend.open(create=False)
    assert (await backend.schema.state()).pending == ()
    await backend.jobs.enqueue([[NewJob(id="job", kind="kind", queue="queue", args="{}")]])
    assert [job.id for job in (await backend.reader.find(JobFilter(), limit=1)).jobs] == ["job"]
    await backend.close()


async def test_the_schema_is_made_too(postgres_server: Postgres, clock: FakeClock) -> None:
    """Where the schema itself is missing it is made; one that somebody made before is taken."""
    place = PostgresPlace(dsn=postgres_server.url, schema=postgres.fresh(), address="the server")
    backend = PostgresBackend(place, clock=clock)
    await backend.open(create=True)
    assert (await backend.schema.upgrade()).current == 0
    await backend.close()
    postgres_server.run(SQL("DROP SCHEMA {} CASCADE").format(Identifier(place.schema)))


async def test_two_stores_in_one_database(backend: PostgresBackend, place: PostgresPlace, clock: FakeClock) -> None:
    """Stores in schemas of one database know nothing of each other."""
    other = PostgresBackend(PostgresPlace(dsn=place.dsn, schema=f"{place.schema}_too", address="it"), clock=clock)
    await other.open(create=True)
    await other.schema.upgrade()
    job = NewJob(id="job", kind="kind", queue="queue", args="{}")
    for each in (backend, other):
        answer = await each.jobs.enqueue([[job]])
        assert answer.groups[0].duplicates == ()
    await other.close()
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(f"{place.schema}_too")))
