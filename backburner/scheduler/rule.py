"""When a schedule is due, and what then holds: what a declaration says, as it is stored."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict, cast, get_args

import msgspec

from backburner.errors import InvalidOption, InvalidSchedule, PayloadNotReadable
from backburner.model.clock import SECOND, from_micros
from backburner.model.times import duration, moment
from backburner.scheduler.triggers import Cron, Trigger, leaves
from backburner.scheduler.zones import local, zone

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CATCH_UP",
    "MOST",
    "SAID",
    "TOLERANCE",
    "Overlap",
    "Rule",
    "ScheduleOptions",
    "decode",
    "encode",
    "make_rule",
]

_DAY = 86_400 * SECOND
#: Ticks that are older than this are not caught up with.
CATCH_UP = _DAY
#: A tick is missed when it is overdue by more.
TOLERANCE = 60 * SECOND
#: Missed ticks that ``misfire="all"`` catches up with, and how many may be asked for.
MOST = 100
_LIMIT = 1_000
#: A calendar that is a function is asked for the days until the end of the year after next.
_YEARS = 2

#: Options of `ScheduleOptions` that are said of the job.
SAID = frozenset({"queue", "priority"})

Overlap = Literal["allow", "skip", "queue", "replace"]

_ALL = re.compile(r"all(?:\((\d{1,9})\))?")


class ScheduleOptions(TypedDict, total=False):
    """What may be said of a schedule beside when it is due. Durations are a `timedelta` or seconds."""

    start: datetime
    """No tick before this moment."""
    end: datetime
    """No tick at this moment, or after it."""
    exclude: Iterable[date] | Callable[[date], bool]
    """Days without ticks, in the schedule's time zone. A function is asked at once for each day until the end of the year
    after next, so that all nodes and the command line agree; with each deploy again."""
    misfire: str
    """What becomes of ticks that were missed: ``skip``, ``one`` (the last of them fires, for all), ``all`` (each fires, the
    newest hundred) or ``all(N)``."""
    catch_up: timedelta | float
    """Ticks that are older than this are not made good: 24 hours."""
    overlap: Overlap
    """What becomes of a tick whose predecessor's job has not ended: ``skip`` it, ``allow`` both, ``queue`` it behind, or
    ``replace`` the predecessor, which is cancelled. Unless allowed, no two jobs of the schedule ever run at once."""
    jitter: timedelta | float
    """Each tick fires up to this much later than it is due, but before the next: always the same for the same tick, on
    every node."""
    tolerance: timedelta | float
    """A tick that is overdue by more is missed, and said so: 60 seconds."""
    queue: str
    """In place of the job's own."""
    priority: int
    """In place of the job's own."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a schedule is due, and what then holds. Moments and durations are microseconds."""

    trigger: Trigger
    #: For days, and for what in the trigger names none.
    tz: str
    start: int | None = None
    end: int | None = None
    #: In order.
    exclude: tuple[date, ...] = ()
    #: How many missed ticks fire at most, the newest; 0 is none, and all beside the newest is only for those caught up.
    catch_most: int = 1
    catch_up: int = CATCH_UP
    overlap: Overlap = "skip"
    jitter: int = 0
    tolerance: int = TOLERANCE

    @property
    def misfire(self) -> str:
        """The policy as people write it: ``skip``, ``one``, ``all(N)``."""
        return {0: "skip", 1: "one"}.get(self.catch_most, f"all({self.catch_most})")


_decoder = msgspec.json.Decoder(Rule)
_encoder = msgspec.json.Encoder(order="deterministic")


def encode(rule: Rule) -> str:
    """Return the rule as it is stored: the same text for the same rule."""
    return _encoder.encode(rule).decode()


@functools.lru_cache(1_024)
def decode(text: str) -> Rule:
    """Return a stored rule; raises `PayloadNotReadable` for one that other code wrote."""
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, InvalidSchedule) as error:
        raise PayloadNotReadable(f"this rule of a schedule cannot be read here: {error}", path=None) from error


def make_rule(trigger: Trigger, options: ScheduleOptions, *, tz: str, now: int) -> Rule:
    """Check what is said of a schedule; ``tz`` is the engine's zone. Raises `InvalidSchedule` or `InvalidOption`."""
    strange = options.keys() - ScheduleOptions.__annotations__.keys()
    if strange:
        raise InvalidOption(
            f"a schedule has no option {min(strange)!r}; it takes {', '.join(ScheduleOptions.__annotations__)}",
            option=min(strange),
        )
    if not isinstance(trigger, get_args(Trigger)):
        raise InvalidSchedule(f'{trigger!r} does not say when: write Cron("0 9 * * *"), Every(minutes=5) or At(moment)')
    tz = _zone_of(trigger) or tz
    zone(tz)
    start = moment(options["start"], "start") if "start" in options else None
    end = moment(options["end"], "end") if "end" in options else None
    if start is not None and end is not None and start >= end:
        raise InvalidSchedule(
            f"the schedule ends ({from_micros(end)}) before it starts ({from_micros(start)}): swap them"
        )
    return Rule(
        trigger=trigger,
        tz=tz,
        start=start,
        end=end,
        exclude=_days(options["exclude"], tz, now) if "exclude" in options else (),
        catch_most=_most(options["misfire"]) if "misfire" in options else 1,
        catch_up=duration(options["catch_up"], "catch_up") if "catch_up" in options else CATCH_UP,
        overlap=_overlap(options.get("overlap", "skip")),
        jitter=duration(options["jitter"], "jitter") if "jitter" in options else 0,
        tolerance=duration(options["tolerance"], "tolerance") if "tolerance" in options else TOLERANCE,
    )


def _zone_of(trigger: Trigger) -> str | None:
    """Return the first zone that a trigger names; None where some of its times name none, or it has none."""
    zones = [leaf.tz for leaf in leaves(trigger) if isinstance(leaf, Cron)]
    return zones[0] if zones and None not in zones else None


def _overlap(given: object) -> Overlap:
    if given not in get_args(Overlap):
        raise InvalidOption(f"overlap={given!r} is none of {', '.join(get_args(Overlap))}", option="overlap")
    return cast("Overlap", given)


def _most(given: object) -> int:
    if given == "skip":
        return 0
    if given == "one":
        return 1
    match = _ALL.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise InvalidOption(
            f'misfire={given!r} is none of "skip", "one" (the last of those missed fires, for all), "all" and "all(N)"',
            option="misfire",
        )
    most = MOST if match[1] is None else int(match[1])
    if not 1 < most <= _LIMIT:
        raise InvalidOption(
            f'misfire={given!r}: between 2 and {_LIMIT:,} ticks can be caught up with; one is misfire="one", none is '
            'misfire="skip"',
            option="misfire",
        )
    return most


def _days(given: object, tz: str, now: int) -> tuple[date, ...]:
    if callable(given):
        # From the year's first day on, so that a deploy asks about, and stores, what the one before did.
        first = local(now, tz).date().replace(month=1, day=1)
        count = (first.replace(year=first.year + _YEARS + 1) - first).days
        days = {day for day in (first + timedelta(days=each) for each in range(count)) if given(day)}
    elif isinstance(given, Iterable) and not isinstance(given, str):
        days = {_day(day) for day in cast("Iterable[object]", given)}
    else:
        raise InvalidOption(
            f"exclude takes dates, or a function that answers whether a date is excluded, not {given!r}",
            option="exclude",
        )
    return tuple(sorted(days))


def _day(given: object) -> date:
    if not isinstance(given, date) or isinstance(given, datetime):
        raise InvalidOption(f"exclude takes whole days, not {given!r}: date(2026, 12, 25)", option="exclude")
    return given
