"""What the decorators make of what they are given."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from backburner import Backburner, Registry
from backburner.errors import InvalidOption
from backburner.model.clock import instant
from backburner.testing import FakeClock


async def test_days_of_an_iterator_are_excluded_at_every_start() -> None:
    """A declaration is read more than once; an iterator is not."""
    jobs = Registry()

    @jobs.cron("0 9 * * *", exclude=(date(2026, 5, day) for day in (4, 5)))
    def tidy() -> None: ...

    for _ in range(2):
        async with Backburner(
            "memory://", jobs=[jobs], clock=FakeClock(instant(datetime(2026, 5, 4, tzinfo=UTC)))
        ) as bb:
            assert (await bb.schedules.get("tidy")).next == datetime(2026, 5, 6, 9, tzinfo=UTC)


def test_what_is_no_day_is_said_where_it_stands() -> None:
    """Not at the start of the app."""
    with pytest.raises(InvalidOption, match="exclude takes whole days, not '2026-12-25'"):
        Registry().cron("0 9 * * *", exclude=["2026-12-25"])  # type: ignore[list-item]
