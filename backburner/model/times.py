"""Durations and moments as people give them, checked, in microseconds."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from backburner.errors import InvalidOption
from backburner.model.clock import LONGEST, instant, micros

__all__ = ["duration", "moment"]


def duration(value: timedelta | float, option: str) -> int:
    """Return the microseconds of a `timedelta` or a number of seconds.

    Raises `InvalidOption`, whose ``option`` is the one given, for what is negative, not finite, no number, or longer than
    285 years.
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(
            f"{option} takes a timedelta or a number of seconds, not {type(value).__name__}", option=option
        )
    if not isinstance(value, timedelta) and not math.isfinite(value):
        raise InvalidOption(f"{option} must be finite, not {value}", option=option)
    length = micros(value)
    if length < 0:
        raise InvalidOption(f"{option} must not be negative: {value}", option=option)
    if length > LONGEST:
        raise InvalidOption(f"{option} is longer than 285 years, give a shorter one: {value}", option=option)
    return length


def moment(value: datetime, option: str) -> int:
    """Return the instant of an aware `datetime`; raises `InvalidOption` for a naive one, whose zone nobody knows."""
    if not isinstance(value, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(f"{option} takes an aware datetime, not {type(value).__name__}", option=option)
    if value.utcoffset() is None:
        raise InvalidOption(
            f"{option}={value!r} has no time zone; say which is meant: value.replace(tzinfo=UTC), "
            'or tzinfo=ZoneInfo("Europe/Berlin")',
            option=option,
        )
    return instant(value)
