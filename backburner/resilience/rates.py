"""Rates: how many permits a meter has now, and when the next. Pure, in whole microseconds, so every store reckons alike.

Sources: GCRA is the virtual scheduling algorithm of ITU-T I.371, a token bucket seen from the moment when it is full
again. The sliding window weighs the window before by the share of it that is still in sight, the approximation that
Cloudflare describes in "How we built rate limiting capable of scaling to millions of domains" (2017).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from backburner.errors import InvalidOption
from backburner.model.duration import parse, short
from backburner.model.lane import Algorithm, Meter, Rate
from backburner.model.times import duration

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = [
    "GRAMMAR",
    "check_rate",
    "deposited",
    "interval",
    "next_at",
    "parse_rate",
    "permits",
    "rate",
    "rate_of",
    "rate_text",
    "spent",
]

#: What an error says of the grammar.
GRAMMAR: Final = (
    'write it like "100/minute", "5/s", "10/30s" or "1000/day"; with a burst, "100/minute burst 20"; '
    'by windows, "100/minute fixed" or "100/minute sliding"'
)

#: The largest number that every store reckons with exactly: those of Lua are doubles.
_EXACT = 2**53
_UNITS = {"second": "1s", "sec": "1s", "minute": "1m", "min": "1m", "hour": "1h", "day": "1d"}
_WORDS = {parse(_UNITS[unit]): unit for unit in ("second", "minute", "hour", "day")}
_RATE = re.compile(r"\s*(\d{1,16})\s*/\s*([0-9a-z.]+)(?:\s+(?:burst\s+(\d{1,16})|(fixed|sliding|leaky)))?\s*", re.ASCII)


def rate(limit: int, per: timedelta | float, *, burst: int | None = None, algorithm: str | None = None) -> Rate:
    """Return a rate of ``limit`` starts per ``per`` (a `timedelta` or seconds).

    ``algorithm`` is ``"gcra"`` (the default: evenly spread, at most ``burst`` at once, of which there is one by
    default), ``"leaky"`` (the same without a burst), ``"fixed"`` (so many in each window of the clock) or ``"sliding"``
    (so many in any window, by an estimate). Raises `InvalidOption`.
    """
    known = algorithm or "gcra"
    if known != "leaky" and known not in tuple(Algorithm):
        raise InvalidOption(f"algorithm={algorithm!r} is none of gcra, leaky, fixed, sliding", option="rate")
    if burst is not None and known != "gcra":
        raise InvalidOption(f"a {known} rate has no burst: leave burst= out", option="rate")
    kind = Algorithm.GCRA if known == "leaky" else Algorithm(known)
    return check_rate(
        Rate(limit=limit, period=duration(per, "per"), algorithm=kind, burst=1 if burst is None else burst)
    )


def parse_rate(text: str) -> Rate:
    """Return the rate of a text such as ``100/minute``; raises `InvalidOption`, which shows the grammar."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidOption(f"{text!r} is not a rate; {GRAMMAR}", option="rate")
    number, per, burst, algorithm = found.groups()
    unit = per.removesuffix("s") if per.removesuffix("s") in _UNITS else per
    try:
        period = parse(_UNITS.get(unit, f"1{unit}" if unit.isalpha() else unit))
    except ValueError as error:
        raise InvalidOption(f"{text!r} is not a rate; {GRAMMAR}", option="rate") from error
    kind = Algorithm(algorithm) if algorithm in tuple(Algorithm) else Algorithm.GCRA
    return check_rate(Rate(limit=int(number), period=period, algorithm=kind, burst=int(burst or 1)))


def rate_of(given: object) -> Rate:
    """Return a rate that was given as one or as its text; raises `InvalidOption`."""
    if isinstance(given, str):
        return parse_rate(given)
    if not isinstance(given, Rate):
        raise InvalidOption(f"{given!r} is no rate; {GRAMMAR}", option="rate")
    return check_rate(given)


def rate_text(rate: Rate) -> str:
    """Return the text of a rate, which `parse_rate` reads as the same."""
    text = f"{rate.limit}/{_WORDS.get(rate.period) or short(rate.period)}"
    if rate.algorithm is not Algorithm.GCRA:
        return f"{text} {rate.algorithm.value}"
    return text if rate.burst == 1 else f"{text} burst {rate.burst}"


def check_rate(rate: Rate) -> Rate:
    """Return a rate that every store can keep, or raise `InvalidOption`."""
    for name, value in (("limit", rate.limit), ("burst", rate.burst)):
        if type(value) is not int or value < 1:
            raise InvalidOption(f"a rate's {name} is a whole number from 1, not {value!r}; {GRAMMAR}", option="rate")
    if rate.period < 1 or rate.limit > rate.period:
        raise InvalidOption("a rate is at most one start a microsecond; leave it out for no limit", option="rate")
    if rate.limit * rate.period > _EXACT or rate.burst * interval(rate) > _EXACT:
        raise InvalidOption(
            "a rate's limit times its period (and its burst's) is at most 2**53 microseconds: say it by a shorter period",
            option="rate",
        )
    return rate


def interval(rate: Rate) -> int:
    """Return the microseconds between two permits, rounded up: never more than the limit in a period."""
    return -(-rate.period // rate.limit)


def permits(rate: Rate, meter: Meter, now: int) -> int:
    """Return how many may start now."""
    if rate.algorithm is Algorithm.GCRA:
        step = interval(rate)
        return max(0, (now + rate.burst * step - max(meter.mark, now)) // step)
    meter = _turned(rate, meter, now)
    if rate.algorithm is Algorithm.FIXED:
        return max(0, rate.limit - meter.count)
    return max(0, (rate.limit * rate.period - _weight(rate, meter, now)) // rate.period - meter.count)


def next_at(rate: Rate, meter: Meter, now: int) -> int:
    """Return when the next may start: ``now`` if one may."""
    if permits(rate, meter, now) > 0:
        return now
    if rate.algorithm is Algorithm.GCRA:
        return meter.mark + interval(rate) - rate.burst * interval(rate)
    meter = _turned(rate, meter, now)
    # Not always mark + period: a mark that is no multiple of the period was made before the period was changed.
    turn = meter.mark - meter.mark % rate.period + rate.period
    if rate.algorithm is Algorithm.FIXED or meter.count >= rate.limit or not meter.previous:
        # Of a sliding window, that is when this one begins to go out of sight; it is looked at again then.
        return turn
    # Until previous * (mark + period - t) <= (limit - count - 1) * period.
    out_of_sight = (rate.limit - meter.count - 1) * rate.period // meter.previous
    return min(turn, max(now + 1, meter.mark + rate.period - out_of_sight))


def spent(rate: Rate, meter: Meter, now: int, number: int) -> Meter:
    """Return the meter after so many have started now."""
    if rate.algorithm is Algorithm.GCRA:
        return Meter(max(meter.mark, now) + number * interval(rate))
    meter = _turned(rate, meter, now)
    return Meter(meter.mark, meter.count + number, meter.previous)


def deposited(meter: Meter, deposit: int, number: int) -> Meter:
    """Return a budget's meter after so many first attempts; full is full, which `spent` and `permits` see to.

    A mark long past says no more than 0 does: so years of first attempts without a retry overflow no store's numbers.
    """
    return Meter(max(0, meter.mark - number * deposit))


def _turned(rate: Rate, meter: Meter, now: int) -> Meter:
    """Return the meter of the window that is now. A clock that went back stays in its window."""
    begin = now - now % rate.period
    if begin <= meter.mark:
        return meter
    follows = meter.mark + rate.period == begin
    return Meter(begin, 0, meter.count if follows else 0)


def _weight(rate: Rate, meter: Meter, now: int) -> int:
    """Return what the window before weighs, in permits times the period."""
    return meter.previous * max(0, meter.mark + rate.period - max(now, meter.mark))
