"""The sorted line with lazy removal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backburner.backends.memory.line import Line
from backburner.backends.memory.row import Row
from backburner.model.job import NewJob


def _row(job_id: str, stamp: int) -> Row:
    row = Row(NewJob(id=job_id, kind="k", queue="q", args="{}"), 0, 0, None)
    row.stamp = stamp
    return row


def _put(line: Line, moment: int, job_id: str, stamp: int, now: int) -> Row:
    row = _row(job_id, stamp)
    line.put((moment, job_id, stamp, row), now)
    return row


@given(
    moments=st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), max_size=200),
    leaving=st.sets(st.integers(0, 199)),
    now=st.integers(0, 5),
)
def test_a_line_is_sorted(moments: list[tuple[int, str]], leaving: set[int], now: int) -> None:
    """Whatever comes in whatever order, and whoever leaves, the head is the first of the rest."""
    line = Line()
    standing: dict[tuple[int, str, int], Row] = {}
    for stamp, (moment, job_id) in enumerate(moments, 1):
        standing[moment, job_id, stamp] = _put(line, moment, job_id, stamp, now)
    for key in [key for key in standing if key[2] - 1 in leaving]:
        standing.pop(key).stamp = 0
        line.left()
    assert sorted(entry[:3] for entry in line) == sorted(standing)
    assert line.live == len(standing)
    for key in sorted(standing):
        head = line.head()
        assert head is not None
        assert head[:3] == key
        head[3].stamp = 0
        line.left()
    assert line.head() is None
    assert line.live == 0


def test_those_who_left_are_swept() -> None:
    """A line never takes much more than twice the room of what it holds, wherever its members leave from."""
    line = Line()
    rows = [_put(line, number * 7919 % 10_000, f"{number}", number + 1, 5_000) for number in range(10_000)]
    for row in reversed(rows[100:]):
        row.stamp = 0
        line.left()
    assert len(line._ordered) + len(line._heap) <= 2 * 100 + 64
    assert line.live == 100


def test_what_is_to_come_does_not_hold_up_the_line() -> None:
    """A row far in the future does not keep those behind it from being appended in order."""
    line = Line()
    _put(line, 10**9, "later", 1, 0)
    for number in range(100):
        _put(line, 0, f"{number:03}", number + 2, 0)
    assert len(line._heap) == 1
    assert len(line._ordered) == 100
