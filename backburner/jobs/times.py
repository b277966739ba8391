"""Durations and moments as people give them, checked, in microseconds."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from backburner.errors import InvalidOption
from backburner.model.clock import SECOND, instant, micros

__all__ = ["duration", "moment"]

#: About 285 years: far beyond any use, well inside what every store can add to its now.
_LONGEST = 9_000_000_000 * SECOND


def duration(value: timedelta | float, option: str) -> int:
    """Return microseconds of a `timedelta` or a number of seconds; refuses what is negative, not finite or no number."""
    if isinstance(value, timedelta):
        length = micros(value)
    elif isinstance(value, bool) or not isinstance(value, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(
            f"{option} takes a timedelta or a number of seconds, not {type(value).__name__}", option=option
        )
    elif not math.isfinite(value):
        raise InvalidOption(f"{option} must be finite, not {value}", option=option)
    else:
        length = micros(value)
    if length < 0:
        raise InvalidOption(f"{option} must not be negative: {value}", option=option)
    if length > _LONGEST:
        raise InvalidOption(f"{option} is longer than 285 years: {value}", option=option)
    return length


def moment(value: datetime, option: str) -> int:
    """Return the instant of an aware `datetime`; refuses naive ones, saying which zone is meant must be written."""
    if not isinstance(value, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(f"{option} takes an aware datetime, not {type(value).__name__}", option=option)
    if value.utcoffset() is None:
        raise InvalidOption(
            f"{option}={value!r} has no time zone; say which is meant: value.replace(tzinfo=UTC), "
            'or tzinfo=ZoneInfo("Europe/Berlin")',
            option=option,
        )
    return instant(value)
