"""What is promised of the ledger: what `ScheduleStore.change` writes there, how it is read, and how long it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.schedule import Outcome, ScheduleChange
from backburner.ports.jobs import Keep
from backburner.ports.schedules import ChangeAnswer
from backburner.testing.contracts.making import ended, publish
from backburner.testing.contracts.scheduling import change, ledger, plan, schedule, skip, stored, tick

if TYPE_CHECKING:
    from backburner.model.schedule import TickRecord
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["LedgerContract"]

FOR_EVER = Keep(completed=None, cancelled=None, dead=None)
FIELDS: dict[str, Any] = {
    "id": "ïd 🙂",
    "schedule": "größe 🙂",
    "tick": 2**53 + 1,
    "last": 2**62 + 1,
    "count": 2**53 + 3,
    "outcome": Outcome.BACKFILLED,
    "reason": "because \N{SNOWMAN} 'quoted' \"twice\"",
    "job": "jöb",
    "due_at": 2**62 + 3,
    "at": 1_749_000_000_000_001,
    "by": "ädä",
    "note": "line one\nline two \u2028 \\u0000",
}


def _keep(ticks: int | None) -> Keep:
    return Keep(completed=None, cancelled=None, dead=None, ticks=ticks)


async def _write(backend: Backend, *lines: TickRecord) -> None:
    """Write lines, by a change of a schedule of its own each."""
    changes = [ScheduleChange(schedule=schedule(f"of {line.id}"), ticks=(line,)) for line in lines]
    assert await change(backend, *changes) == (ChangeAnswer(),) * len(lines)


async def _ids(backend: Backend, *, limit: int = 100, **where: Any) -> str:  # noqa: ANN401 - as `ScheduleReader.ticks`
    """Return the ids that are found, a letter each, in their order."""
    page = await backend.schedule_reader.ticks(limit=limit, **where)
    return "".join(line.id for line in page.ticks)


@pytest.mark.anyio
class LedgerContract:
    """What was decided of each tick is written once, and found for as long as it is kept."""

    async def test_a_line_with_the_defaults(self, harness: Harness) -> None:
        """A line with nothing but what it must have is one tick, written when the store wrote it, on every connection."""
        line = tick(1_234_567)
        await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=(line,)))
        now = harness.clock.now()
        expected = msgspec.structs.replace(line, at=now)
        assert (expected.count, expected.reason, expected.job, expected.by, expected.note) == (
            1,
            None,
            None,
            None,
            None,
        )
        for backend in (harness.backend, await harness.second()):
            page = await backend.schedule_reader.ticks(limit=5)
            assert (page.now, page.ticks, page.after) == (now, (expected,), None)

    async def test_every_field_comes_back_as_it_went_in(self, harness: Harness) -> None:
        """Every field of a line comes back unchanged: Unicode, moments of 64 bits, and the moment it was written."""
        line = tick(**FIELDS)
        await change(harness.backend, ScheduleChange(schedule=schedule("größe 🙂"), ticks=(line,)))
        assert await ledger(harness.backend) == [line]

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_every_outcome(self, harness: Harness, outcome: Outcome) -> None:
        """Every outcome comes back as what it is, and is found by it."""
        line = tick(outcome=outcome, at=7)
        await _write(harness.backend, line, skip(outcome=Outcome.FIRED), skip())
        (found, *_) = await ledger(harness.backend, outcomes={outcome})
        assert found == line
        assert found.outcome is outcome

    async def test_when_it_was_decided(self, harness: Harness) -> None:
        """A line without a moment has the store's now; one that was given is kept, whether past or to come."""
        now = harness.clock.now()
        moments = [0, 1, now - 1, now + 5]
        lines = tuple(skip(number, at=at) for number, at in enumerate(moments))
        await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=lines))
        assert [line.at for line in await ledger(harness.backend)] == [now, 1, now - 1, now + 5]

    async def test_a_line_is_written_once(self, harness: Harness) -> None:
        """A line whose id was written before is left as it is; the rest of its change is made all the same."""
        first = tick(1, id="a", note="first")
        await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=(first,)))
        before = await ledger(harness.backend)
        harness.clock.move(1)
        again = (tick(2, id="a", note="second", outcome=Outcome.TRIGGERED), tick(3, id="b"), tick(4, id="b", note="b"))
        changed = schedule(version=1, kind="changed")
        assert await change(harness.backend, ScheduleChange(schedule=changed, ticks=again)) == (ChangeAnswer(),)
        written = msgspec.structs.replace(again[1], at=harness.clock.now())
        assert await ledger(harness.backend) == [*before, written]
        assert (await stored(harness.backend)).kind == "changed"
        other = ScheduleChange(schedule=schedule("other"), ticks=(tick(5, id="a", schedule="other"),))
        assert await change(harness.backend, other) == (ChangeAnswer(),)
        assert await ledger(harness.backend) == [*before, written]

    async def test_only_with_its_change(self, harness: Harness) -> None:
        """An outrun change writes no line."""
        await plan(harness.backend)
        await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=(skip(),)))
        assert await ledger(harness.backend) == []

    # ---- finding ---------------------------------------------------------------------------------------------------

    async def test_the_last_decided_first(self, harness: Harness) -> None:
        """Lines come by id descending, whenever their ticks were and whenever they were written, in pages."""
        await _write(harness.backend, *[skip(9 - number, id=name) for number, name in enumerate("dBaczb")])
        assert await _ids(harness.backend) == "zdcbaB"
        assert await _ids(harness.backend, after="c") == "baB"
        assert await _ids(harness.backend, after="cc") == "cbaB"
        page = await harness.backend.schedule_reader.ticks(limit=4)
        assert ([line.id for line in page.ticks], page.after) == ([*"zdcb"], "b")
        page = await harness.backend.schedule_reader.ticks(limit=2, after=page.after)
        assert ([line.id for line in page.ticks], page.after) == ([*"aB"], None)
        assert page.now == harness.clock.now()
        page = await harness.backend.schedule_reader.ticks(limit=2, after="B")
        assert (page.ticks, page.after) == ((), None)

    async def test_of_one_schedule(self, harness: Harness) -> None:
        """Those of one schedule are found, also where there is no such schedule any more, in pages of those alone."""
        await _write(harness.backend, *[skip(id=name, schedule="x" if name in "ace" else "y") for name in "abcdef"])
        assert await _ids(harness.backend, schedule="x") == "eca"
        assert await _ids(harness.backend, schedule="y") == "fdb"
        assert await _ids(harness.backend, schedule="") == ""
        page = await harness.backend.schedule_reader.ticks(schedule="x", limit=2)
        assert ([line.id for line in page.ticks], page.after) == ([*"ec"], "c")
        page = await harness.backend.schedule_reader.ticks(schedule="x", limit=2, after="c")
        assert ([line.id for line in page.ticks], page.after) == (["a"], None)
        page = await harness.backend.schedule_reader.ticks(schedule="x", limit=3)
        assert ([line.id for line in page.ticks], page.after) == ([*"eca"], None)

    async def test_with_one_of_some_outcomes(self, harness: Harness) -> None:
        """Those with one of the outcomes are found; none asked for is any."""
        outcomes = {"a": Outcome.FIRED, "b": Outcome.SKIPPED, "c": Outcome.TRIGGERED, "d": Outcome.BACKFILLED}
        outcomes |= {"e": Outcome.SKIPPED, "f": Outcome.FIRED}
        await _write(harness.backend, *[tick(id=name, outcome=outcome) for name, outcome in outcomes.items()])
        assert await _ids(harness.backend, outcomes=[Outcome.SKIPPED]) == "eb"
        assert await _ids(harness.backend, outcomes={Outcome.FIRED, Outcome.BACKFILLED}) == "fda"
        assert await _ids(harness.backend, outcomes=(Outcome.FIRED, Outcome.FIRED)) == "fa"
        assert await _ids(harness.backend, outcomes=[*Outcome]) == await _ids(harness.backend, outcomes=()) == "fedcba"
        page = await harness.backend.schedule_reader.ticks(outcomes=[Outcome.SKIPPED], limit=1)
        assert ([line.id for line in page.ticks], page.after) == (["e"], "e")
        page = await harness.backend.schedule_reader.ticks(outcomes=[Outcome.SKIPPED], limit=1, after="e")
        assert ([line.id for line in page.ticks], page.after) == (["b"], None)

    async def test_of_a_time(self, harness: Harness) -> None:
        """Those are found that tell of a tick from ``since`` to before ``until``: of several, if any of their time is."""
        spans = {"a": (10, 10), "b": (10, 20), "c": (15, 40), "d": (20, 20), "e": (30, 30), "f": (5, 50)}
        await _write(
            harness.backend,
            *[skip(start, last=end, count=2 if end > start else 1, id=name) for name, (start, end) in spans.items()],
        )
        for since in (None, 0, 5, 10, 11, 15, 20, 21, 30, 31, 40, 41, 50, 51):
            for until in (None, 5, 6, 10, 11, 15, 16, 20, 21, 30, 31, 51, 2**53 + 1):
                expected = [
                    name
                    for name, (start, end) in spans.items()
                    if (since is None or end >= since) and (until is None or start < until)
                ]
                found = await _ids(harness.backend, since=since, until=until)
                assert found == "".join(reversed(expected)), (since, until)
        page = await harness.backend.schedule_reader.ticks(since=21, until=31, limit=2)
        assert ([line.id for line in page.ticks], page.after) == ([*"fe"], "e")
        page = await harness.backend.schedule_reader.ticks(since=21, until=31, limit=2, after="e")
        assert ([line.id for line in page.ticks], page.after) == (["c"], None)

    async def test_by_all_at_once(self, harness: Harness) -> None:
        """Whatever is asked for holds together."""
        lines = [
            tick(number, id=f"{number:02}", schedule="xy"[number % 2], outcome=[*Outcome][number % 3])
            for number in range(30)
        ]
        await change(harness.backend, ScheduleChange(schedule=schedule(), ticks=tuple(lines)))
        where: dict[str, Any] = {"schedule": "x", "outcomes": [Outcome.FIRED], "since": 6, "until": 24}
        assert await _ids(harness.backend, **where) == "18" + "12" + "06"
        assert await _ids(harness.backend, **where, after="18") == "12" + "06"

    # ---- how long they are kept ------------------------------------------------------------------------------------

    async def test_kept_from_when_it_was_written(self, harness: Harness) -> None:
        """A line goes when it was written so long ago, to the microsecond, whatever its tick; None is for ever."""
        await _write(harness.backend, skip(harness.clock.now() + 10**12, id="a"))
        harness.clock.move(4)
        await _write(harness.backend, skip(1, id="b"))
        harness.clock.move(5.999999)
        assert await harness.backend.admin.prune(_keep(10 * SECOND), 10) == 0
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(_keep(None), 10) == 0
        assert await harness.backend.admin.prune(FOR_EVER, 10) == 0
        assert await _ids(harness.backend) == "ba"
        assert await harness.backend.admin.prune(_keep(10 * SECOND), 10) == 1
        assert await _ids(harness.backend) == "b"
        assert await harness.backend.admin.prune(_keep(0), 10) == 1
        assert await _ids(harness.backend) == ""

    async def test_kept_from_the_moment_that_was_given(self, harness: Harness) -> None:
        """A line that came with its moment is kept from then."""
        now = harness.clock.now()
        await _write(harness.backend, *[skip(id=name, at=now - 20 + at) for at, name in enumerate("cab")])
        assert await harness.backend.admin.prune(_keep(19), 10) == 2
        assert await _ids(harness.backend) == "b"
        harness.clock.move(0.000001)
        assert await harness.backend.admin.prune(_keep(19), 10) == 1

    async def test_pruning_is_bounded(self, harness: Harness) -> None:
        """At most ``limit`` lines are deleted at a time, and how many is told; those that are kept are not counted."""
        await _write(harness.backend, *[skip() for _ in range(9)])
        harness.clock.move(1)
        await _write(harness.backend, skip(), skip())
        left: list[int] = []
        deleted: list[int] = []
        for limit in (4, 4, 4, 4):
            deleted.append(await harness.backend.admin.prune(_keep(SECOND), limit))
            left.append(len(await ledger(harness.backend)))
        assert (deleted, left) == ([4, 4, 1, 0], [7, 3, 2, 2])

    async def test_pruned_beside_jobs(self, harness: Harness) -> None:
        """Jobs do not keep lines from being pruned, nor lines jobs: it goes on until there is nothing left."""
        await publish(harness.backend)
        for _ in range(5):
            await ended(harness.backend, JobState.COMPLETED)
        await _write(harness.backend, *[skip() for _ in range(5)])
        keep = Keep(completed=0, cancelled=0, dead=0, ticks=0)
        deleted: list[int] = []
        while changed := await harness.backend.admin.prune(keep, 2):
            deleted.append(changed)
        assert sum(deleted) == 10
        assert await ledger(harness.backend) == []

    async def test_a_pruned_line_s_id_is_free(self, harness: Harness) -> None:
        """A line that was pruned is gone for good: its id may be written again; its schedule is left as it is."""
        record = await plan(harness.backend)
        await _write(harness.backend, skip(1, id="a"))
        assert await harness.backend.admin.prune(_keep(0), 10) == 1
        assert await stored(harness.backend) == record
        line = skip(2, id="a")
        await change(harness.backend, ScheduleChange(schedule=record, ticks=(line,)))
        assert await ledger(harness.backend) == [msgspec.structs.replace(line, at=harness.clock.now())]
