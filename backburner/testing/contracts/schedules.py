"""What `ScheduleStore.change` and `remove` promise of schedules, and how `ScheduleReader` finds them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.schedule import ScheduleChange
from backburner.ports.schedules import ChangeAnswer, Changed
from backburner.testing.contracts.making import ids, new
from backburner.testing.contracts.scheduling import change, fire, known, ledger, plan, schedule, skip, stored

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["ScheduleContract"]

DONE = ChangeAnswer()
OUTRUN = ChangeAnswer(outrun=True)
#: Every field that a schedule may have.
FULL: dict[str, Any] = {
    "kind": "büro.schicken",
    "rule": '{ "tz":"Europe/Zürich","cron" : "0 9 * * mon-fri", "cron":"🙂 \\u0000 \u2028","n":9007199254740993 }',
    "job": '{"args":"{\\"größe\\":\\"🙂\\"}","tags":["ü"]}',
    "declared": True,
    "retired": True,
    "next_tick": 2**53 + 1,
    "due_at": 2**53 + 3,
    "last_tick": 2**53 - 1,
    "fired_at": 2**62 + 1,
    "last_job": "älter 🙂",
    "paused": True,
    "paused_until": 2**62 + 3,
    "reason": "zu früh \N{SNOWMAN} 'quoted' \"twice\"",
    "by": "ädä",
}
#: What no store can keep: text that is not Unicode or has NUL in it, numbers beyond 64 bits.
POISON: list[dict[str, Any]] = [
    *({field: "\ud800"} for field in ("name", "kind", "rule", "job", "last_job", "reason", "by")),
    *({field: "a\0b"} for field in ("name", "kind", "rule", "job", "last_job", "reason", "by")),
    *({field: 2**70} for field in ("next_tick", "due_at", "last_tick", "fired_at", "paused_until")),
]


def _change(name: str = "daily", version: int = 0, **fields: Any) -> ScheduleChange:  # noqa: ANN401 - any field
    return ScheduleChange(schedule=schedule(name, version, **fields))


async def _found(backend: Backend, *, limit: int = 100, **where: Any) -> list[str]:  # noqa: ANN401 - as `ScheduleReader.find`
    """Return the names that are found, in their order."""
    page = await backend.schedule_reader.find(limit=limit, **where)
    return [record.name for record in page.schedules]


@pytest.mark.anyio
class ScheduleContract:
    """A schedule is changed by who has seen its last change, whole or not at all."""

    async def test_a_new_schedule(self, harness: Harness) -> None:
        """A schedule with nothing but what it must have is stored as version 1, and has the defaults elsewhere."""
        now = harness.clock.now()
        given = schedule(created_at=1, changed_at=2)
        answer = await harness.backend.schedules.change([ScheduleChange(schedule=given)])
        assert answer == Changed(now, (DONE,))
        expected = msgspec.structs.replace(given, version=1, created_at=now, changed_at=now)
        for backend in (harness.backend, await harness.second()):
            page = await backend.schedule_reader.get(["daily"])
            assert (page.now, page.schedules, page.after) == (now, (expected,), None)
        assert await ledger(harness.backend) == []

    async def test_every_field_comes_back_as_it_went_in(self, harness: Harness) -> None:
        """Every field comes back unchanged: Unicode, JSON as it was spelled, moments of 64 bits, none where none was."""
        now = harness.clock.now()
        await change(harness.backend, _change("größe 🙂", **FULL))
        expected = schedule("größe 🙂", 1, created_at=now, changed_at=now, **FULL)
        assert await stored(harness.backend, "größe 🙂") == expected
        assert (await harness.backend.schedule_reader.find(limit=5)).schedules == (expected,)
        bare = schedule("größe 🙂", 1)
        await change(harness.backend, ScheduleChange(schedule=bare))
        expected = msgspec.structs.replace(bare, version=2, created_at=now, changed_at=now)
        assert await stored(harness.backend, "größe 🙂") == expected

    async def test_due_as_it_was_written(self, harness: Harness) -> None:
        """What is due is answered with every field, as it is read."""
        fields: dict[str, Any] = FULL | {"due_at": harness.clock.now() - 1}
        await plan(harness.backend, **fields)
        due = await harness.backend.schedules.due(5)
        assert due.schedules == (await stored(harness.backend),)

    async def test_a_change_of_the_stored_version(self, harness: Harness) -> None:
        """Made from the stored version it is written; the version grows, ``created_at`` stays, ``changed_at`` is now."""
        before = await plan(harness.backend)
        harness.clock.move(1.000001)
        given = msgspec.structs.replace(before, **FULL, changed_at=7)
        assert await change(harness.backend, ScheduleChange(schedule=given)) == (DONE,)
        assert await stored(harness.backend) == msgspec.structs.replace(
            given, version=2, created_at=before.created_at, changed_at=harness.clock.now()
        )

    async def test_a_change_of_another_version(self, harness: Harness) -> None:
        """Made from another version, or from none where there is one, it is outrun, and nothing of it is done."""
        await plan(harness.backend)
        await change(harness.backend, _change(version=1, kind="second"))
        before = await stored(harness.backend)
        harness.clock.move(1)
        for version in (0, 1, 3):
            job = new()
            late = fire(job, schedule(version=version, kind="late", due_at=harness.clock.now()))
            assert await change(harness.backend, late) == (OUTRUN,)
            assert (await harness.backend.reader.get([job.id])).jobs == ()
        assert await stored(harness.backend) == before
        assert await ledger(harness.backend) == []
        assert (await harness.backend.schedules.due(5)).schedules == ()

    async def test_a_change_of_one_that_was_removed(self, harness: Harness) -> None:
        """Removed and made again, a schedule is another, though its version is what it was: a change of the former is outrun."""
        former = await plan(harness.backend)
        harness.clock.move(0.000001)
        assert await harness.backend.schedules.remove("daily", 1)
        after = await plan(harness.backend, kind="another")
        assert after.version == former.version
        job = new()
        assert await change(harness.backend, fire(job, former)) == (OUTRUN,)
        assert await stored(harness.backend) == after
        assert (await harness.backend.reader.get([job.id])).jobs == ()
        assert await change(harness.backend, fire(job, after)) == (DONE,)
        assert await change(harness.backend, ScheduleChange(schedule=schedule(version=2))) == (DONE,)

    async def test_a_change_of_one_that_is_not_there(self, harness: Harness) -> None:
        """Made from a version of a schedule that is not there, it is outrun, and none comes to be."""
        job = new()
        assert await change(harness.backend, fire(job, schedule(version=1))) == (OUTRUN,)
        assert await known(harness.backend, ["daily"]) == []
        assert (await harness.backend.reader.get([job.id])).jobs == ()
        assert await ledger(harness.backend) == []

    async def test_changes_of_one_schedule_in_one_call(self, harness: Harness) -> None:
        """The second change of a schedule in one call is made from what the first left; one that is not is outrun."""
        answers = await change(
            harness.backend,
            *(_change(version=0, kind="a"), _change("other"), _change(version=0, kind="b")),
            *(_change(version=1, kind="c"), _change(version=1, kind="d"), _change(version=2, kind="e")),
        )
        assert answers == (DONE, DONE, OUTRUN, DONE, OUTRUN, DONE)
        record = await stored(harness.backend)
        assert (record.version, record.kind) == (3, "e")
        assert (await stored(harness.backend, "other")).version == 1

    async def test_no_changes(self, harness: Harness) -> None:
        """Nothing to change is fine, and answered with the store's now."""
        assert await harness.backend.schedules.change([]) == Changed(harness.clock.now(), ())

    @pytest.mark.parametrize("poison", POISON, ids=repr)
    async def test_a_poisoned_change_stands_alone(self, harness: Harness, poison: dict[str, Any]) -> None:
        """A change refused for what its schedule says does nothing of itself, says why, and harms no other."""
        jobs = [new() for _ in range(3)]
        named: dict[str, Any] = {"name": "bad"} | poison
        before, bad, after = (
            fire(jobs[0], schedule("before"), schedule="before"),
            ScheduleChange(schedule=schedule(**named), ticks=(skip(schedule="bad"),), jobs=(jobs[1],)),
            fire(jobs[2], schedule("after"), schedule="after"),
        )
        answers = await change(harness.backend, before, bad, after)
        assert [answer.refused is None for answer in answers] == [True, False, True]
        assert answers[1].refused
        assert answers[1] == ChangeAnswer(refused=answers[1].refused)
        assert await _found(harness.backend) == ["after", "before"]
        assert [line.schedule for line in await ledger(harness.backend)] == ["before", "after"]
        assert sorted(ids((await harness.backend.reader.get(ids(jobs))).jobs)) == ids([jobs[0], jobs[2]])

    async def test_poison_after_poison(self, harness: Harness) -> None:
        """Several poisoned changes of one call are each refused, those between them made, and outrun ones told."""
        changes = [_change("a"), _change("b", rule="\ud800"), _change("c"), _change("d", due_at=2**70)]
        changes += [
            _change("e", reason="\0"),
            _change("f"),
            _change("a"),
            _change("a", 1, by="\ud800"),
            _change("a", 1),
        ]
        answers = await change(harness.backend, *changes)
        assert [answer.refused is not None for answer in answers] == [
            *(False, True, False, True, True, False, False, True, False)
        ]
        assert [number for number, answer in enumerate(answers) if answer.outrun] == [6]
        assert await _found(harness.backend) == ["a", "c", "f"]
        assert (await stored(harness.backend, "a")).version == 2

    async def test_a_refused_change_may_be_mended(self, harness: Harness) -> None:
        """What was refused left the version as it was: mended, the change is made, in the same call too."""
        answers = await change(harness.backend, _change(rule="\0"), _change(rule='"mended"'))
        assert answers[0].refused
        assert answers[1] == DONE
        assert (await change(harness.backend, _change(version=1, rule="\0")))[0].refused
        assert await change(harness.backend, _change(version=1)) == (DONE,)
        assert (await stored(harness.backend)).version == 2

    async def test_many_changes(self, harness: Harness) -> None:
        """Several hundred changes are made in one call, each with its job and its line."""
        jobs = [new() for _ in range(400)]
        changes = [fire(job, schedule(f"s{number:03}")) for number, job in enumerate(jobs)]
        assert await change(harness.backend, *changes) == (DONE,) * 400
        assert len((await harness.backend.reader.get(ids(jobs))).jobs) == 400
        assert [line.job for line in await ledger(harness.backend)] == ids(jobs)
        assert len(await _found(harness.backend, limit=1000)) == 400

    async def test_one_of_many_is_heard(self, harness: Harness) -> None:
        """Of many nodes that decide about one tick, on two connections, one is heard: one job, one line, one version."""
        backends = [harness.backend, await harness.second()]
        seen = await plan(harness.backend)
        jobs = [new() for _ in range(20)]
        answers = await asyncio.gather(
            *[change(backends[number % 2], fire(job, seen)) for number, job in enumerate(jobs)]
        )
        (heard,) = [job for job, answer in zip(jobs, answers, strict=True) if answer == (DONE,)]
        assert answers.count((OUTRUN,)) == 19
        assert ids((await harness.backend.reader.get(ids(jobs))).jobs) == [heard.id]
        assert [line.job for line in await ledger(harness.backend)] == [heard.id]
        record = await stored(harness.backend)
        assert (record.version, record.last_job) == (2, heard.id)

    async def test_one_of_many_comes_first(self, harness: Harness) -> None:
        """Of many that store a new schedule of one name, on two connections, one does."""
        backends = [harness.backend, await harness.second()]
        changes = [_change(kind=str(number)) for number in range(20)]
        answers = await asyncio.gather(*[change(backends[n % 2], each) for n, each in enumerate(changes)])
        assert (answers.count((DONE,)), answers.count((OUTRUN,))) == (1, 19)
        record = await stored(harness.backend)
        assert (record.version, record.kind) == (1, str(answers.index((DONE,))))

    async def test_calls_that_cross(self, harness: Harness) -> None:
        """Calls with many changes in opposite orders, on two connections at once, all end, and each change is made once."""
        backends = [harness.backend, await harness.second()]
        names = [f"s{number:02}" for number in range(30)]
        orders = (names, names[::-1], names[15:] + names[:15], names)
        answers = await asyncio.gather(
            *[change(backends[n % 2], *[_change(name) for name in order]) for n, order in enumerate(orders)]
        )
        done = sorted(
            name
            for order, told in zip(orders, answers, strict=True)
            for name, answer in zip(order, told, strict=True)
            if answer == DONE
        )
        assert done == names

    # ---- removing --------------------------------------------------------------------------------------------------

    async def test_removed(self, harness: Harness) -> None:
        """A schedule of the version that was seen is deleted, on every connection, and due no more."""
        second = await harness.second()
        await plan(harness.backend, due_at=harness.clock.now())
        kept = await plan(harness.backend, "kept")
        assert await second.schedules.remove("daily", 1)
        for backend in (harness.backend, second):
            assert (await backend.schedule_reader.find(limit=5)).schedules == (kept,)
            due = await backend.schedules.due(5)
            assert (due.schedules, due.wait) == ((), None)
        assert not await harness.backend.schedules.remove("daily", 1)
        assert await change(harness.backend, _change(version=1)) == (OUTRUN,)

    async def test_another_version_is_not_removed(self, harness: Harness) -> None:
        """A schedule of another version stays as it is, and so does all where there is none of that name."""
        await plan(harness.backend)
        await change(harness.backend, _change(version=1))
        before = await stored(harness.backend)
        for version in (0, 1, 3):
            assert not await harness.backend.schedules.remove("daily", version)
        assert not await harness.backend.schedules.remove("nobody", 0)
        assert await stored(harness.backend) == before

    async def test_its_ledger_and_jobs_stay(self, harness: Harness) -> None:
        """What a removed schedule did stays in the ledger, and its jobs are left as they are."""
        job = new()
        await change(harness.backend, fire(job))
        lines = await ledger(harness.backend)
        assert await harness.backend.schedules.remove("daily", 1)
        assert await ledger(harness.backend, schedule="daily") == lines != []
        assert len((await harness.backend.reader.get([job.id])).jobs) == 1

    async def test_put_again(self, harness: Harness) -> None:
        """Removed, a name is free for a new schedule, which is version 1, new, and has nothing of the old one."""
        await plan(harness.backend, **FULL)
        await harness.backend.schedules.remove("daily", 1)
        harness.clock.move(1)
        now = harness.clock.now()
        again = await plan(harness.backend, due_at=now + 1)
        assert again == schedule(version=1, due_at=now + 1, created_at=now, changed_at=now)
        assert (await harness.backend.schedules.due(5)).wait == 1

    # ---- reading ---------------------------------------------------------------------------------------------------

    async def test_got_by_name(self, harness: Harness) -> None:
        """Those that exist come by name, in one page, each once."""
        for name in ("b", "c", "a", "d"):
            await plan(harness.backend, name)
        page = await harness.backend.schedule_reader.get(["c", "nobody", "a", "c", "b"])
        assert ([record.name for record in page.schedules], page.after) == (["a", "b", "c"], None)
        assert page.now == harness.clock.now()
        assert (await harness.backend.schedule_reader.get([])).schedules == ()
        assert await known(harness.backend, {"d", ""}) == ["d"]

    async def test_found_by_code_point(self, harness: Harness) -> None:
        """Schedules are found by name in the order of code points, whatever a language says, in pages."""
        names = ["B", "a", "a b", "a-b", "a/b", "aB", "ab", "b", "z", "ä", "\N{FULLWIDTH TILDE}", "🙂"]
        assert names == sorted(names)
        await change(harness.backend, *[_change(name) for name in [*names[::2], *names[1::2]]])
        assert await _found(harness.backend) == names
        for after in range(len(names)):
            assert await _found(harness.backend, after=names[after]) == names[after + 1 :]
        for start in range(0, len(names), 3):
            before = names[start - 1] if start else None
            page = await harness.backend.schedule_reader.find(limit=3, after=before)
            assert [record.name for record in page.schedules] == names[start : start + 3]
            assert page.after == (names[start + 2] if start + 3 < len(names) else None)
            assert page.now == harness.clock.now()

    async def test_found_declared_or_of_a_kind(self, harness: Harness) -> None:
        """All are found, or those that are declared, or are not, or are of a kind; in pages of those alone."""
        for name in "abcdef":
            await plan(harness.backend, name, declared=name in "abe", kind="mail" if name in "bcf" else "note")
        assert await _found(harness.backend) == [*"abcdef"]
        assert await _found(harness.backend, declared=True) == [*"abe"]
        assert await _found(harness.backend, declared=False) == [*"cdf"]
        assert await _found(harness.backend, kind="mail") == [*"bcf"]
        assert await _found(harness.backend, kind="mail", declared=True) == ["b"]
        assert await _found(harness.backend, kind="mail", declared=False, after="c") == ["f"]
        assert await _found(harness.backend, kind="none") == []
        page = await harness.backend.schedule_reader.find(declared=True, limit=2)
        assert ([record.name for record in page.schedules], page.after) == ([*"ab"], "b")
        page = await harness.backend.schedule_reader.find(declared=True, limit=2, after="b")
        assert ([record.name for record in page.schedules], page.after) == (["e"], None)
        page = await harness.backend.schedule_reader.find(kind="mail", limit=3)
        assert ([record.name for record in page.schedules], page.after) == ([*"bcf"], None)

    async def test_found_as_it_is_now(self, harness: Harness) -> None:
        """A schedule that was changed is found by what it is, not by what it was."""
        before = await plan(harness.backend, declared=True, kind="mail")
        changed = msgspec.structs.replace(before, declared=False, kind="note")
        await change(harness.backend, ScheduleChange(schedule=changed))
        assert await _found(harness.backend, declared=True) == await _found(harness.backend, kind="mail") == []
        assert await _found(harness.backend, declared=False, kind="note") == ["daily"]
