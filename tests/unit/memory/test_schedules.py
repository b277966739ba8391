"""Where schedules and the lines of their ledgers stand in memory."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st

from backburner.backends.memory.book import ScheduleBook
from backburner.backends.memory.ledger import Ledger
from backburner.model.schedule import ScheduleRecord
from backburner.testing.contracts.scheduling import schedule, skip

moments = st.none() | st.integers(0, 4)


@given(
    steps=st.lists(st.tuples(st.sampled_from("abcde"), moments | st.just("gone")), max_size=150),
    number=st.integers(0, 6),
    now=st.integers(-1, 5),
)
def test_the_first_that_are_due(steps: list[tuple[str, int | str | None]], number: int, now: int) -> None:
    """Whatever is put, moved, moved back and deleted, the first are those of all there are that are due, and one more."""
    book, plain = ScheduleBook(), dict[str, ScheduleRecord]()
    for name, moment in steps:
        if isinstance(moment, str):
            if plain.pop(name, None) is not None:
                book.delete(name)
        else:
            plain[name] = schedule(name, due_at=moment)
            book.write(plain[name])
        # To look changes nothing.
        due = sorted((one.due_at, one.name) for one in plain.values() if one.due_at is not None)
        due = [*takewhile(lambda one: one[0] <= now, due), *[one for one in due if one[0] > now][:1]]
        assert [(one.due_at, one.name) for one in book.first(number, now)] == due[:number]
        for after in (None, "b"):
            names = sorted(name for name in plain if after is None or name > after)
            assert [one.name for one in book.above(after)] == names


def test_leftovers_are_swept() -> None:
    """However often schedules are moved and deleted, a book takes little more than twice the room of what it holds."""
    book = ScheduleBook()
    for number in range(10_000):
        book.write(schedule(f"s{number % 100}", due_at=number * 7919 % 10_007))
        assert len(book._due) <= 2 * 100 + 64
    for number in range(90):
        book.delete(f"s{number}")
    assert len(book._due) <= 2 * 10 + 64


@given(ages=st.lists(st.integers(1, 20), max_size=30), before=st.integers(0, 21), limit=st.integers(0, 31))
def test_the_oldest_lines_go_first(ages: list[int], before: int, limit: int) -> None:
    """Of the lines written by a moment the oldest go, as many as are asked for."""
    ledger = Ledger()
    lines = [skip(at=age) for age in ages]
    for line in lines:
        ledger.write(line)
    old = sorted((line.at, line.id) for line in lines if line.at <= before)
    assert ledger.prune(before, limit) == len(old[:limit])
    gone = {line_id for _, line_id in old[:limit]}
    assert [*ledger] == [line for line in lines if line.id not in gone]
