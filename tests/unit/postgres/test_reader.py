"""Filters over arguments that PostgreSQL's own JSON finds hard to bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.sql import SQL, Identifier

from backburner.backends.postgres.link import Link
from backburner.model.job import NewJob
from backburner.model.query import Condition, JobFilter

if TYPE_CHECKING:
    import pytest

    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.link import Wire
    from backburner.backends.postgres.place import PostgresPlace

#: Arguments, a condition on them, and whether it holds.
WEIRD = [
    (r'{"a":1,"b":"x\u0000y"}', Condition(("a",), "=", 1), True),
    (r'{"b":"x\u0000y"}', Condition(("b",), "~", "y"), True),
    (r'{"b":"x\u0000y"}', Condition(("b",), "=", "x"), False),
    (r'{"b":"x\u0000y"}', Condition(("b",), "=", "x\0y"), False),
    (r'{"b":"x\u0000y"}', Condition(("b",), "~", "\0"), False),
    (r'{"b":"x\\u0000y"}', Condition(("b",), "=", r"x\u0000y"), True),
    (r'{"b":"x\\u0000y"}', Condition(("b",), "=", "x\0y"), False),
    (r'{"b":"x\\\u0000y"}', Condition(("b",), "~", "\\"), True),
    (r'{"\u0000":1}', Condition(("\0",), "=", 1), False),
    ('{"a":"\U0001f525"}', Condition(("a",), ">", "\uffff"), True),
    ('{"a":"Ä"}', Condition(("a",), ">", "z"), True),
    ('{"a":1e400}', Condition(("a",), ">", 1), True),
    ('{"a":1e400,"b":2}', Condition(("b",), "=", 2), True),
    ('{"a":123456789012345678901234567890}', Condition(("a",), "=", 123456789012345678901234567890), True),
    ('{"a":123456789012345678901234567891}', Condition(("a",), "=", 123456789012345678901234567890), False),
    ('{"a":9007199254740993}', Condition(("a",), "=", 9007199254740992), False),
    ('{"a":1.0}', Condition(("a",), "=", 1), True),
    ('{"a":1e2}', Condition(("a",), "=", 100), True),
    ('{"a":0.1}', Condition(("a",), "=", 0.1), True),
    ('{"a":-0.0}', Condition(("a",), "=", 0), True),
    ('{"a":1}', Condition(("a",), "~", "1"), False),
    ('{"a":"1"}', Condition(("a",), "<", 2), False),
    ('{"a":"1"}', Condition(("a",), "!=", 1), True),
    ('{"a":[1]}', Condition(("a",), "!=", 1), False),
    ('{"a":[1]}', Condition(("a", "0"), "=", 1), False),
    ('{"a":{}}', Condition(("a",), "!=", None), False),
    ('{"a":null}', Condition(("a",), "=", None), True),
    ('{"a":null}', Condition(("a",), "!=", None), False),
    ('{"a":null}', Condition(("a",), "!=", 1), True),
    ('{"a":null}', Condition(("a",), "<", 1), False),
    ('{"a":true}', Condition(("a",), ">", value=False), False),
    ('{"a":true}', Condition(("a",), "=", value=True), True),
    ('{"a":"true"}', Condition(("a",), "=", value=True), False),
    ('{"a":""}', Condition(("a",), "~", ""), True),
    ('{"a":1,"a":2}', Condition(("a",), "=", 2), True),
    ('{"":1}', Condition(("",), "=", 1), True),
    ("{}", Condition((), "=", 1), False),
]


def new(id: str, args: str) -> NewJob:
    """Return a job."""
    return NewJob(id=id, kind="kind", queue="queue", args=args)


async def found(backend: PostgresBackend, where: JobFilter) -> list[str]:
    """Return the ids of the jobs that match, largest first."""
    return [job.id for job in (await backend.reader.find(where, limit=99)).jobs]


async def test_conditions_on_weird_arguments(backend: PostgresBackend) -> None:
    """Conditions compare as everywhere, by JSON's types, to the last digit and character."""
    for number, (args, condition, holds) in enumerate(WEIRD):
        job = new(f"{number:02}", args)
        await backend.jobs.enqueue([[job]])
        where = JobFilter(where=(condition,), prefix=job.id)
        assert await found(backend, where) == ([job.id] if holds else []), (args, condition)
        assert sum((await backend.reader.count(where)).values()) == holds


async def test_conditions_beside_what_cannot_be_read(backend: PostgresBackend, place: PostgresPlace) -> None:
    """One row that cannot be read, and so has all be looked at with care, changes no answer about the others."""
    await backend.jobs.enqueue([[new("rotten", "{}")]])
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        update = SQL("UPDATE {} SET args = %s").format(Identifier(place.schema, "jobs"))
        # No quick look for what others have in common passes it over.
        connection.execute(update, (" ".join([args for args, _, _ in WEIRD]),))
    for number, (args, condition, holds) in enumerate(WEIRD):
        job = new(f"{number:02}", args)
        await backend.jobs.enqueue([[job]])
        where = JobFilter(where=(condition,))
        assert (job.id in await found(backend, where)) is holds, (args, condition)


async def test_what_cannot_be_read_fits_nothing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A row whose arguments are no JSON, or numbers beyond all bounds, fits no condition and harms no other."""
    await backend.jobs.enqueue([[new("good", '{"a":1}'), new("one", "{}"), new("two", "{}"), new("three", "{}")]])
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        update = SQL("UPDATE {} SET args = %s WHERE id = %s").format(Identifier(place.schema, "jobs"))
        for id, args in (("one", '{"a":1'), ("two", '{"a":1e999999}'), ("three", r'{"a":1,"b":"\ud800"}')):
            connection.execute(update, (args, id))
    for operator in ("=", "<="):
        assert await found(backend, JobFilter(where=(Condition(("a",), operator, 1),))) == ["good"]


async def test_a_prefix_is_a_range_of_an_index(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs whose ids begin so are found between two bounds of the index."""
    asked: list[tuple[object, ...]] = []
    value = Link.value

    async def spy(link: Link, sql: str, *args: object) -> object:
        asked.append((sql, *args))
        return await value(link, sql, *args)

    monkeypatch.setattr(Link, "value", spy)
    await backend.reader.find(JobFilter(prefix="ab"), limit=3)
    await backend.reader.count(JobFilter(prefix="ab"))

    async def explain(wire: Wire) -> list[str]:
        await wire.execute("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        rows = [row[0] for sql, *args in asked for row in await wire.fetch(f"EXPLAIN {sql}", *args)]
        await wire.execute("ROLLBACK")
        return rows

    plan = await backend._session.reads.run(explain)
    bounds = [row.strip() for row in plan if "Index Cond: ((id >=" in row]
    assert bounds == ["Index Cond: ((id >= 'ab'::text) AND (id < 'ac'::text))"] * 2


async def test_pages_from_the_largest_id(backend: PostgresBackend) -> None:
    """An id of the last characters there are is found too."""
    await backend.jobs.enqueue([[new("\U0010ffff" * 10, "{}"), new("a", "{}")]])
    page = await backend.reader.find(JobFilter(), limit=1)
    assert [job.id for job in page.jobs] == ["\U0010ffff" * 10]
    page = await backend.reader.find(JobFilter(), limit=1, after=page.after)
    assert [job.id for job in page.jobs] == ["a"]
