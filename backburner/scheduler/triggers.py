"""When a schedule is due, as people say it: `Cron`, `Every`, `At`, and both or either of several.

They are plain values, stored as JSON. What moments they name is `backburner.scheduler.timetable`'s to say.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, Union, cast, get_args

from msgspec import Struct
from msgspec.structs import force_setattr

from backburner.errors import InvalidSchedule
from backburner.model.clock import LONGEST, SECOND, instant
from backburner.model.duration import short
from backburner.scheduler.cron import read
from backburner.scheduler.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AllOf", "AnyOf", "At", "Cron", "Every", "OnGap", "OnOverlap", "Trigger"]

#: What becomes of a fixed time that a change of the clocks leaves out.
OnGap = Literal["run_after", "skip"]
#: Which of two is meant, where a change of the clocks brings a fixed time twice.
OnOverlap = Literal["first", "second", "both"]

#: The shortest interval, in microseconds: a faster one is a loop, not a schedule.
_SHORTEST: Final = 10_000
#: Triggers in one.
_MOST: Final = 32
#: Microseconds of each unit, longest first.
_UNITS: Final = {
    "weeks": 604_800 * SECOND,
    "days": 86_400 * SECOND,
    "hours": 3_600 * SECOND,
    "minutes": 60 * SECOND,
    "seconds": SECOND,
}


class _Combining(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every trigger can: ``a & b`` names the moments that both name, ``a | b`` those that either does."""

    def __and__(self, other: Trigger) -> AllOf:
        if not isinstance(other, get_args(Trigger)):
            return NotImplemented
        return AllOf((cast("Trigger", self), other))

    def __or__(self, other: Trigger) -> AnyOf:
        if not isinstance(other, get_args(Trigger)):
            return NotImplemented
        return AnyOf((cast("Trigger", self), other))


class _Expression(_Combining, frozen=True):
    expression: str


class Cron(_Expression, frozen=True, kw_only=True, tag="cron"):
    """The times of day, and days, of a cron expression: ``0 9 * * mon-fri``.

    Minute, hour, day of month, month, day of week; with ``seconds`` the second before them. Each is ``*``, a number, a
    name (``jan``, ``mon``), a range (``22-2`` goes over midnight), a list, or steps (``*/15``, ``8-18/2``); Sunday is 0
    or 7. Days may be ``L`` (the last), ``15W`` (the weekday nearest to the 15th, in the same month; in months without
    that day, nearest to their last), ``5#3`` (the third Friday), ``L5`` (the last Friday), ``?`` (as ``*``). A day of
    month beside a day of week is either, as in every cron: for both write ``Cron(...) & Cron(...)``. ``H`` is a number
    drawn from the schedule's name, so that many do not start at once: ``H 3 * * *``, ``H(0-29) * * * *``, ``H/15``.
    Also ``@hourly``, ``@daily``, ``@midnight``, ``@weekly``, ``@monthly``, ``@yearly``.

    ``tz`` is where its clock hangs; None is the engine's zone. Where clocks are set forward, a time of day that does not
    exist runs at the first moment after (``on_gap="run_after"``), or not at all (``"skip"``). Where they are set back, a
    time that comes twice runs at the ``"first"``, the ``"second"``, or at ``"both"``. A second, minute or hour that
    begins with ``*``, or is ``H/n``, means an interval, not a time of day: it then runs whenever the clock shows such a
    time, in an overlap twice, in a gap never.

    Raises `InvalidSchedule` for what can never be, and for what different crons read differently.
    """

    tz: str | None = None
    seconds: bool = False
    on_gap: OnGap = "run_after"
    on_overlap: OnOverlap = "first"

    def __post_init__(self) -> None:
        _check_word("on_gap", self.on_gap, get_args(OnGap))
        _check_word("on_overlap", self.on_overlap, get_args(OnOverlap))
        if not isinstance(self.seconds, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidSchedule(
                f"seconds is True or False, not {self.seconds!r}: the second itself stands first in the expression",
                part="seconds",
            )
        _check_expression(self.expression, seconds=self.seconds)
        if self.tz is not None:
            _check_zone(self.tz)
        force_setattr(self, "expression", " ".join(self.expression.split()))

    @property
    def spread(self) -> bool:
        """Whether it has an ``H``, which the schedule's name decides."""
        return read(self.expression, seconds=self.seconds).spread

    def describe(self) -> str:
        """Return it in a line, for people."""
        words = [self.expression, *([self.tz] if self.tz else [])]
        if self.on_gap != "run_after":
            words.append(f"on_gap={self.on_gap}")
        if self.on_overlap != "first":
            words.append(f"on_overlap={self.on_overlap}")
        return " ".join(words)


class Every(_Combining, frozen=True, kw_only=True, tag="every"):
    """Each so many weeks, days, hours, minutes and seconds, added together: elapsed time, whatever clocks are set to.

    It is aligned to 1970-01-01 UTC (a week to that day, a Thursday), so that any node at any time names the same moments;
    or it begins with ``start``. Exact to the microsecond, and at least 10 milliseconds. Raises `InvalidSchedule`.
    """

    weeks: int | float = 0
    days: int | float = 0
    hours: int | float = 0
    minutes: int | float = 0
    seconds: int | float = 0
    start: datetime | None = None

    def __post_init__(self) -> None:
        length = sum(_length(unit, getattr(self, unit)) for unit in _UNITS)
        if length < _SHORTEST:
            raise InvalidSchedule(
                f"an interval of {short(length)} is no schedule: the shortest is 10ms, Every(seconds=0.01)"
                if length
                else "an interval of nothing is no schedule: say how long, such as Every(minutes=5)"
            )
        if length > LONGEST:
            raise InvalidSchedule("an interval of more than 285 years: say At(moment) for a single tick")
        # One way to say each length, so that what is the same is equal: 60 minutes are an hour.
        rest = length
        for unit, size in _UNITS.items():
            count, rest = (0, rest) if unit == "weeks" else divmod(rest, size)
            force_setattr(self, unit, count + rest / SECOND if unit == "seconds" and rest else count)
        if self.start is not None:
            force_setattr(self, "start", _checked(self.start, "start"))

    @property
    def interval(self) -> int:
        """The microseconds from tick to tick."""
        return sum(_length(unit, getattr(self, unit)) for unit in _UNITS)

    def describe(self) -> str:
        """Return it in a line, for people."""
        every = f"every {short(self.interval)}"
        return every if self.start is None else f"{every} from {_written(self.start)}"


class At(_Combining, frozen=True, tag="at"):
    """One moment, an aware `datetime`. Raises `InvalidSchedule`."""

    moment: datetime

    def __post_init__(self) -> None:
        force_setattr(self, "moment", _checked(self.moment, "moment"))

    def describe(self) -> str:
        """Return it in a line, for people."""
        return f"at {_written(self.moment)}"


class AllOf(_Combining, frozen=True, tag="all"):
    """The moments that each of several triggers names: ``a & b``. Exactly, to the microsecond."""

    triggers: tuple[Trigger, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "triggers", _flat(self.triggers, AllOf))

    def describe(self) -> str:
        """Return it in a line, for people."""
        return " and ".join(_inside(trigger) for trigger in self.triggers)


class AnyOf(_Combining, frozen=True, tag="any"):
    """The moments that at least one of several triggers names: ``a | b``. What several name is one tick."""

    triggers: tuple[Trigger, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "triggers", _flat(self.triggers, AnyOf))

    def describe(self) -> str:
        """Return it in a line, for people."""
        return " or ".join(_inside(trigger) for trigger in self.triggers)


#: Whatever says when a schedule is due.
Trigger: TypeAlias = Union[Cron, Every, At, AllOf, AnyOf]  # noqa: UP007 - msgspec and isinstance read it as it stands


def leaves(trigger: Trigger) -> Iterator[Cron | Every | At]:
    """Go through the triggers that one is made of."""
    if isinstance(trigger, AllOf | AnyOf):
        for part in trigger.triggers:
            yield from leaves(part)
    else:
        yield trigger


def _flat(triggers: tuple[Trigger, ...], kind: type[AllOf | AnyOf]) -> tuple[Trigger, ...]:
    """Return the parts of a combination, with those of the same kind opened: so it is written in one way."""
    for trigger in triggers:
        if not isinstance(trigger, get_args(Trigger)):
            raise InvalidSchedule(
                f'{trigger!r} does not say when: write Cron("0 9 * * *"), Every(minutes=5) or At(moment)'
            )
    flat = tuple(
        each for trigger in triggers for each in (trigger.triggers if isinstance(trigger, kind) else (trigger,))
    )
    if len(flat) < 2:  # noqa: PLR2004 - a pair is the least there is to combine
        raise InvalidSchedule(f"{kind.__name__} combines two triggers or more, not {len(flat)}")
    count = sum(1 for trigger in flat for _ in leaves(trigger))
    if count > _MOST:
        raise InvalidSchedule(f"{count} triggers in one, and {_MOST} are allowed: make several schedules of it")
    return flat


def _inside(trigger: Trigger) -> str:
    return f"({trigger.describe()})" if isinstance(trigger, AllOf | AnyOf) else trigger.describe()


def _check_expression(expression: object, *, seconds: bool) -> None:
    if not isinstance(expression, str):
        raise InvalidSchedule(
            f'a cron expression is a text, such as "0 9 * * mon-fri", not {expression!r}', part="expression"
        )
    read(expression, seconds=seconds)


def _check_zone(tz: object) -> None:
    if not isinstance(tz, str):
        raise InvalidSchedule(f'tz takes the name of a time zone, such as "Europe/Berlin", not {tz!r}', part="tz")
    zone(tz)


def _check_word(option: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise InvalidSchedule(f"{option}={given!r} is none of {', '.join(allowed)}", part=option)


def _length(unit: str, given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise InvalidSchedule(f"{unit} takes a number, such as Every({unit}=5), not {given!r}", part=unit)
    if given < 0:
        raise InvalidSchedule(f"{unit} must not be negative: {given}", part=unit)
    if given > LONGEST:
        raise InvalidSchedule("an interval of more than 285 years: say At(moment) for a single tick", part=unit)
    return round(given * _UNITS[unit])


def _checked(given: object, option: str) -> datetime:
    """Return an aware `datetime` in UTC, as it comes back from a store."""
    if not isinstance(given, datetime):
        raise InvalidSchedule(
            f"{option} takes an aware datetime, such as datetime(2026, 1, 1, 9, tzinfo=UTC), not {given!r}", part=option
        )
    if given.utcoffset() is None:
        raise InvalidSchedule(
            f"{option}={given!r} has no time zone; say which is meant: value.replace(tzinfo=UTC), "
            'or tzinfo=ZoneInfo("Europe/Berlin")',
            part=option,
        )
    if abs(instant(given)) > LONGEST:
        raise InvalidSchedule(
            f"{option}={given.isoformat()} is further than 285 years from 1970: give a nearer moment", part=option
        )
    return given.astimezone(UTC)


def _written(moment: datetime) -> str:
    seconds = "auto" if moment.second or moment.microsecond else "minutes"
    return moment.isoformat(timespec=seconds).replace("+00:00", "Z")
