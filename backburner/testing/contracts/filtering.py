"""What `JobReader` promises of filters by arguments, and of those by what nothing has."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

import pytest

from backburner.model.job import JobState
from backburner.model.query import Condition, JobFilter, Shown
from backburner.testing.contracts.making import add, add_claimed, ended, ids, publish

if TYPE_CHECKING:
    from backburner.model.query import Operator, Scalar
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["FilteringContract"]

ARGS = '{"user":{"id":7,"name":"Ada Lovelace","vip":true,"none":null,"score":1.5},"big":3}'

#: Conditions, and whether they hold for those arguments.
CONDITIONS: list[tuple[Condition, bool]] = [
    (Condition(("user", "id"), "=", 7), True),
    (Condition(("user", "id"), "=", 8), False),
    (Condition(("user", "id"), "=", "7"), False),
    (Condition(("user", "id"), "!=", 8), True),
    (Condition(("user", "id"), "!=", 7), False),
    (Condition(("user", "id"), "<", 8), True),
    (Condition(("user", "id"), "<", 7), False),
    (Condition(("user", "id"), "<=", 7), True),
    (Condition(("user", "id"), ">", 6), True),
    (Condition(("user", "id"), ">", 7), False),
    (Condition(("user", "id"), ">=", 7), True),
    (Condition(("user", "score"), ">", 1), True),
    (Condition(("user", "name"), "=", "Ada Lovelace"), True),
    (Condition(("user", "name"), "~", "Love"), True),
    (Condition(("user", "name"), "~", "Byron"), False),
    (Condition(("user", "name"), "~", "%"), False),
    (Condition(("user", "name"), ">", "Aaa"), True),
    (Condition(("user", "vip"), "=", value=True), True),
    (Condition(("user", "vip"), "=", value=False), False),
    (Condition(("user", "vip"), "=", 1), False),
    (Condition(("user", "none"), "=", None), True),
    (Condition(("user", "id"), "=", None), False),
    (Condition(("missing",), "=", 1), False),
    (Condition(("missing", "deeper"), "!=", 1), False),
]

#: Arguments as JSON may write them, a condition on `a`, and whether it holds.
WRITTEN: list[tuple[str, Operator, Scalar, bool]] = [
    ('{"a":9}', "<", 10, True),
    ('{"a":-9}', "<", -10, False),
    ('{"a":9.5}', ">", 10.5, False),
    ('{"a":9}', ">", 10.5, False),
    ('{"a":"9"}', ">", "10", True),
    ('{"a":1.0}', "=", 1, True),
    ('{"a":1}', "=", 1.0, True),
    ('{"a":1e2}', "=", 100, True),
    ('{"a":1E+2}', "!=", 100, False),
    ('{"a":10e-1}', "=", 1, True),
    ('{"a":-0.0}', "=", 0, True),
    ('{"a":-0.0}', "<", 0, False),
    ('{"a":0.1}', "=", 0.1, True),
    ('{"a":0.1000}', ">=", 0.1, True),
    ('{"a":0.1000000000000000055511151231257827}', "=", 0.1, False),
    ('{"a":0.1000000000000000055511151231257827}', ">", 0.1, True),
    ('{"a":9007199254740993}', "=", 9007199254740992, False),
    ('{"a":9007199254740993}', "=", 9007199254740993, True),
    ('{"a":9007199254740993}', ">", 9007199254740992.0, True),
    ('{"a":9223372036854775808}', "=", 9223372036854775807, False),
    ('{"a":9223372036854775808}', ">", 9223372036854775807, True),
    ('{"a":-9223372036854775808}', "=", -9223372036854775808, True),
    ('{"a":-9223372036854775809}', "<", -9223372036854775808, True),
    ('{"a":100000000000000000000000000001}', "=", 100000000000000000000000000001, True),
    ('{"a":100000000000000000000000000001}', "=", 100000000000000000000000000000, False),
    ('{"a":100000000000000000000000000001}', ">", 1e29, True),
    ('{"a":1e400}', ">", 1, True),
    ('{"a":-1e400}', "<", 1, True),
    ('{"a":1e400}', "=", 10**400, True),
    ('{"a":1e400}', "!=", 10**400 + 1, True),
    ('{"a":1e-400}', ">", 0, True),
    ('{"a":1e1000}', ">", 1, False),
    ('{"a":1e1000}', "!=", 1, False),
    ('{"a":-1e1000}', "<", 1, False),
    ('{"a":1e1000}', "!=", "x", True),
    ('{"a":1e99999999999999999999}', ">", 1, False),
    ('{"a":1e99999999999999999999}', "!=", "x", True),
    (f'{{"a":1,"b":{"9" * 5000}}}', "=", 1, True),
    (f'{{"a":{"9" * 5000}}}', ">", 1, False),
    ('{"a":1e400,"b":1}', "~", "1", False),
    ('{"a":1,"a":2}', "=", 1, False),
    ('{"a":1,"a":2}', "=", 2, True),
    ('{"a":1,"a":[]}', "=", 1, False),
    ('{"\\u0061":1}', "=", 1, True),
    ('{"a":"\\u0061"}', "=", "a", True),
    ('{"a":"\U0001f600"}', ">", "\uffff", True),
    ('{"a":true}', "!=", 1, True),
    ('{"a":true}', "<=", 1, False),
    ('{"a":null}', "<=", None, False),
    ('{"a":null}', "!=", None, False),
    ('{"a":"1"}', "~", 1, False),
    ('{"a":[1]}', "!=", 1, False),
    ('{"a":1}', "<", 10**1000, False),
    ('{"a":1}', "<", inf, False),
    ('{"a":1}', "!=", nan, False),
    ('{"a":"x"}', "!=", "\0", False),
    ('{"a":"x"}', "~", "\0", False),
    ('{"a":"x"}', "!=", "\ud800", False),
    ('{"a":1,"b":"\\ud800"}', "=", 1, False),
    ('{"a":1', "=", 1, False),
    ("", "!=", 1, False),
    ("[1]", "=", 1, False),
    ("1", "=", 1, False),
]

#: What nothing stored can have.
HOPELESS: dict[str, Any] = {
    "kinds": ("x\0",),
    "queues": ("\ud800",),
    "error": "\0",
    "fingerprint": "\0",
    "tags": ("a", "\0"),
    "where": (Condition(("a", "\0"), "!=", 1),),
    "prefix": "\0",
    "parents": ("someone", "\udfff"),
    "node": "\0",
}


async def _found(backend: Backend, **where: Any) -> list[str]:  # noqa: ANN401 - any field of a filter
    return ids((await backend.reader.find(JobFilter(**where), limit=100)).jobs)[::-1]


@pytest.mark.anyio
class FilteringContract:
    """Every store answers a filter alike: by the value that JSON says, to the last digit and character."""

    @pytest.mark.parametrize(("condition", "holds"), CONDITIONS, ids=repr)
    async def test_conditions_on_arguments(self, harness: Harness, condition: Condition, holds: bool) -> None:
        """A condition compares by JSON's types; what is missing fits no condition."""
        job = await add(harness.backend, args=ARGS)
        assert await _found(harness.backend, where=(condition,)) == ([job.id] if holds else [])

    @pytest.mark.parametrize(("args", "operator", "value", "holds"), WRITTEN, ids=lambda value: repr(value)[:40])
    async def test_conditions_go_by_what_json_says(
        self, harness: Harness, args: str, operator: Operator, value: Scalar, holds: bool
    ) -> None:
        """Numbers are compared by their value to the last digit, however they are written; nothing raises."""
        job = await add(harness.backend, args=args)
        await add(harness.backend, args='{"b":{}}')
        assert await _found(harness.backend, where=(Condition(("a",), operator, value),)) == ([job.id] if holds else [])

    @pytest.mark.parametrize("name", HOPELESS)
    async def test_what_nothing_can_have(self, harness: Harness, name: str) -> None:
        """A filter by what nothing stored can have, such as NUL, finds and counts nothing."""
        await add(harness.backend, args='{"a":1}', tags=("a",))
        page = await harness.backend.reader.find(JobFilter(**{name: HOPELESS[name]}), limit=1)
        assert (page.now, page.jobs, page.after) == (harness.clock.now(), (), None)
        assert await harness.backend.reader.count(JobFilter(**{name: HOPELESS[name]})) == {}

    async def test_a_prefix_ends_where_it_ends(self, harness: Harness) -> None:
        """Ids that begin so are found, whatever comes then, and none beside them; page by page."""
        backend = harness.backend
        jobs = [
            await add(backend, id=id)
            for id in ("a", "ab", "ab\x01", "abz", "ab\U0010ffff", "ab\U0010ffffx", "ac", "b", "é", "\ud7ffx", "\ue000")
        ]
        for prefix in ("a", "ab", "ab\U0010ffff", "\U0010ffff", "abzz", "é", "\ud7ff", "A"):
            expected = [job.id for job in jobs if job.id.startswith(prefix)]
            assert await _found(backend, prefix=prefix) == expected
            assert await backend.reader.count(JobFilter(prefix=prefix)) == (
                {Shown.WAITING: len(expected)} if expected else {}
            )
        page = await backend.reader.find(JobFilter(prefix="ab"), limit=2, after="ac")
        assert (ids(page.jobs), page.after) == (["ab\U0010ffffx", "ab\U0010ffff"], "ab\U0010ffff")
        page = await backend.reader.find(JobFilter(prefix="ab"), limit=3, after=page.after)
        assert (ids(page.jobs), page.after) == (["abz", "ab\x01", "ab"], None)

    async def test_all_conditions_must_hold(self, harness: Harness) -> None:
        """Several conditions must all hold; a name may contain any character."""
        job = await add(harness.backend, args='{"a":1,"b.c \\"d\\"":2}')
        first = Condition(("a",), "=", 1)
        assert await _found(harness.backend, where=(first, Condition(('b.c "d"',), "=", 2))) == [job.id]
        assert await _found(harness.backend, where=(first, Condition(('b.c "d"',), "=", 3))) == []

    async def test_ended_before(self, harness: Harness) -> None:
        """Jobs that ended before a moment, to the microsecond, whatever their state; those that have not never match."""
        backend = harness.backend
        await publish(backend)
        await add(backend, queue="line")
        await add_claimed(backend, queue="other")
        expected: list[str] = []
        moment = 0
        for state in (JobState.COMPLETED, JobState.CANCELLED, JobState.DEAD):
            moment = harness.clock.now()
            expected.append(await ended(backend, state))
            assert await _found(backend, ended_before=moment) == expected[:-1]
            assert await _found(backend, ended_before=moment + 1) == expected
            harness.clock.move(1)
        assert await _found(backend, ended_before=moment + 1, states=(Shown.DEAD,)) == expected[2:]
        assert await _found(backend, ended_before=moment + 1, states=(Shown.RUNNING, Shown.WAITING)) == []
        assert await backend.reader.count(JobFilter(ended_before=moment)) == {Shown.COMPLETED: 1, Shown.CANCELLED: 1}
        page = await backend.reader.find(JobFilter(ended_before=moment + 1), limit=2)
        assert (ids(page.jobs), page.after) == (expected[:0:-1], expected[1])
