"""The ticks of one schedule, between its start and its end, and without its excluded days."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from backburner.model.clock import instant
from backburner.scheduler.agenda import Agenda
from backburner.scheduler.rule import Rule
from backburner.scheduler.triggers import Cron, Every
from backburner.scheduler.zones import local

ZONE = "America/St_Johns"


@pytest.mark.parametrize("trigger", [Cron("*/5 * * * *"), Every(minutes=7)])
@pytest.mark.parametrize("excluded", [date(2010, 11, 6), date(2010, 11, 7)])
def test_a_day_that_comes_back_repeats_no_tick(trigger: Cron | Every, excluded: date) -> None:
    """In St. John's it was Sunday for a minute, then Saturday again: each tick is later than the one before."""
    days = Agenda("s", Rule(trigger=trigger, tz=ZONE, exclude=(excluded,)))
    moment = instant(datetime(2010, 11, 6, 12, tzinfo=UTC))
    while moment < instant(datetime(2010, 11, 8, 12, tzinfo=UTC)):
        following = days.after(moment)
        assert following is not None
        assert following > moment
        assert local(following, ZONE).date() != excluded
        moment = following
