"""The one calculator of delays: retries, loops and reconnects all ask it.

Written ``b`` base, ``c`` cap, ``n`` failures so far (1 is the first), ``U(x, y)`` uniform. The cap is applied to the
curve, jitter to what it left: so jitter stays alive at the cap, and a thousand jobs that reached it do not retry in
step. Full, equal and decorrelated jitter: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import msgspec

from backburner.errors import InvalidOption
from backburner.model.clock import LONGEST, SECOND
from backburner.model.times import duration

if TYPE_CHECKING:
    from datetime import timedelta
    from random import Random

__all__ = [
    "Backoff",
    "Jitter",
    "Strategy",
    "constant",
    "decorrelated",
    "exponential",
    "fibonacci",
    "linear",
    "polynomial",
]

#: None: d. Full: U(0, d). Equal: U(d/2, d). A share r: d ± r·d, the one that may pass the cap, by r·c at most.
Jitter = Literal["none", "full", "equal"] | float

#: Failures are counted no further: every exponent stays a sane float.
_MOST_FAILURES = 1_000_000
_STEEPEST = 1000.0
_CAP = 6 * 3600


class Strategy(StrEnum):
    """The curve a delay follows, before jitter."""

    #: b
    CONSTANT = "constant"
    #: min(c, b·n)
    LINEAR = "linear"
    #: min(c, b·factorⁿ⁻¹)
    EXPONENTIAL = "exponential"
    #: min(c, b·n^factor)
    POLYNOMIAL = "polynomial"
    #: min(c, b·F(n)), F = 1, 1, 2, 3, 5, 8, …
    FIBONACCI = "fibonacci"
    #: U(b, min(c, factor·previous)), its own jitter
    DECORRELATED = "decorrelated"


class Backoff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait after a failure. Pure: the same random numbers give the same delays.

    Made by `constant`, `linear`, `exponential`, `polynomial`, `fibonacci` and `decorrelated`, whose ``base`` and ``cap``
    are a `timedelta` or seconds. Raises `InvalidOption`.
    """

    strategy: Strategy
    #: Microseconds.
    base: int
    #: Microseconds.
    cap: int
    factor: float = 1.0
    jitter: Jitter = "none"

    def __post_init__(self) -> None:
        """Refuse numbers that would make no delay."""
        if not 0 <= self.base <= self.cap <= LONGEST:
            raise InvalidOption(
                f"base={self.base / SECOND:g} must lie between 0 and cap={self.cap / SECOND:g} (seconds, 285 years at "
                "most): raise cap or lower base",
                option="base",
            )
        if self.base == 0 and self.strategy is not Strategy.CONSTANT:
            raise InvalidOption("base=0 never grows: give a base above 0, or use constant(0)", option="base")
        if not 1 <= self.factor <= _STEEPEST:
            option = "power" if self.strategy is Strategy.POLYNOMIAL else "factor"
            raise InvalidOption(f"{option}={self.factor!r} must lie between 1 and {_STEEPEST:g}", option=option)
        if isinstance(self.jitter, str):
            known = self.jitter in {"none", "full", "equal"}
        else:
            known = not isinstance(self.jitter, bool) and 0 <= self.jitter <= 1
        if not known:
            raise InvalidOption(
                f'jitter={self.jitter!r} is not known; use "none", "full", "equal", or a share between 0 and 1 for ±',
                option="jitter",
            )

    def delay(self, failures: int, *, previous: int | None = None, random: Random, floor: int = 0) -> int:
        """Return the microseconds to wait after the ``failures``-th failure in a row (1 is the first).

        ``previous`` is the delay before it, from which `decorrelated` grows (None: its base). ``floor`` is what the
        other side asked for (``Retry-After``): never less is answered, jitter is added on top of it, and it outranks
        the cap.
        """
        if self.strategy is Strategy.DECORRELATED:
            low, high = self._drawn_from(self.base if previous is None else previous)
        else:
            low, high = self._jittered(self._curve(failures))
        return max(low, floor) + round(random.random() * (high - low))

    def bounds(self, failures: int) -> tuple[int, int]:
        """Return the shortest and the longest delay, in microseconds, after the ``failures``-th failure in a row."""
        if self.strategy is Strategy.DECORRELATED:
            return self._drawn_from(self._curve(failures))
        return self._jittered(self._curve(failures))

    def _curve(self, failures: int) -> int:
        """Return the delay before jitter; of `decorrelated`, the longest that can have been drawn last time."""
        n = min(max(failures, 1), _MOST_FAILURES)
        match self.strategy:
            case Strategy.CONSTANT:
                return self.base
            case Strategy.LINEAR:
                return min(self.cap, self.base * n)
            case Strategy.POLYNOMIAL:
                return self._power(n, self.factor)
            case Strategy.FIBONACCI:
                return self._fibonacci(n)
            case Strategy.EXPONENTIAL | Strategy.DECORRELATED:
                return self._power(self.factor, n - 1)

    def _power(self, number: float, exponent: float) -> int:
        """Return min(c, b·number^exponent), comparing logarithms first: the power itself may be beyond any float."""
        if exponent * math.log(number) >= math.log(self.cap / self.base):
            return self.cap
        return min(self.cap, round(self.base * math.pow(number, exponent)))

    def _fibonacci(self, n: int) -> int:
        current, following = self.base, self.base
        while n > 1 and current < self.cap:
            current, following, n = following, current + following, n - 1
        return min(self.cap, current)

    def _drawn_from(self, previous: int) -> tuple[int, int]:
        # Brooker's min(c, U(b, 3·previous)) answers the cap itself two times in three once there, in step for all:
        # here the cap bounds the range instead of the draw.
        return self.base, min(self.cap, round(self.factor * max(self.base, previous)))

    def _jittered(self, delay: int) -> tuple[int, int]:
        match self.jitter:
            case "none":
                return delay, delay
            case "full":
                return 0, delay
            case "equal":
                return delay - delay // 2, delay
            case share:
                swing = round(delay * share)
                return delay - swing, delay + swing


def constant(base: timedelta | float, *, jitter: Jitter = 0.1) -> Backoff:
    """Wait ``base`` seconds each time, ± a tenth."""
    length = duration(base, "base")
    return Backoff(strategy=Strategy.CONSTANT, base=length, cap=length, jitter=jitter)


def linear(base: timedelta | float = 10, *, cap: timedelta | float = _CAP, jitter: Jitter = "equal") -> Backoff:
    """Wait b·n: ``base`` seconds, then twice, then three times as long, up to ``cap``."""
    return Backoff(strategy=Strategy.LINEAR, base=duration(base, "base"), cap=duration(cap, "cap"), jitter=jitter)


def exponential(
    base: timedelta | float = 10,
    *,
    factor: float = 3,
    cap: timedelta | float = _CAP,
    jitter: Jitter = "equal",
) -> Backoff:
    """Wait b·factorⁿ⁻¹: ``base`` seconds, then ``factor`` times as long as before, up to ``cap``."""
    return Backoff(
        strategy=Strategy.EXPONENTIAL,
        base=duration(base, "base"),
        factor=_number(factor, "factor"),
        cap=duration(cap, "cap"),
        jitter=jitter,
    )


def polynomial(
    base: timedelta | float = 10,
    *,
    power: float = 2,
    cap: timedelta | float = _CAP,
    jitter: Jitter = "equal",
) -> Backoff:
    """Wait b·n^power: slower than an exponential after the first few failures."""
    return Backoff(
        strategy=Strategy.POLYNOMIAL,
        base=duration(base, "base"),
        factor=_number(power, "power"),
        cap=duration(cap, "cap"),
        jitter=jitter,
    )


def fibonacci(base: timedelta | float = 10, *, cap: timedelta | float = _CAP, jitter: Jitter = "equal") -> Backoff:
    """Wait b·F(n): 1, 1, 2, 3, 5, 8, … times ``base`` seconds, up to ``cap``."""
    return Backoff(strategy=Strategy.FIBONACCI, base=duration(base, "base"), cap=duration(cap, "cap"), jitter=jitter)


def decorrelated(base: timedelta | float = 10, *, factor: float = 3, cap: timedelta | float = _CAP) -> Backoff:
    """Wait U(b, factor · the delay before), up to ``cap``: jitter that remembers, so no two jobs keep step for long."""
    return Backoff(
        strategy=Strategy.DECORRELATED,
        base=duration(base, "base"),
        factor=_number(factor, "factor"),
        cap=duration(cap, "cap"),
    )


def _number(value: object, option: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidOption(f"{option}={value!r} must be a finite number", option=option)
    return value
