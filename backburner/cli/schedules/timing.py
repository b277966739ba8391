"""When a schedule is due: options, and the trigger that they say."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args
from zoneinfo import ZoneInfo

import click

from backburner.cli.moments import ahead, named
from backburner.cli.reading import reading
from backburner.model.clock import SECOND, from_micros
from backburner.model.duration import parse, short
from backburner.scheduler import zones
from backburner.scheduler.triggers import At, Cron, Every, OnGap, OnOverlap

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

    from backburner.cli.times import Moment
    from backburner.scheduler.triggers import Trigger

__all__ = ["Timing", "timing_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What the options say."""

    cron: str | None
    #: Microseconds.
    every: int | None
    at: Moment | None
    tz: str | None
    seconds: bool
    on_gap: OnGap | None
    on_overlap: OnOverlap | None

    @property
    def given(self) -> bool:
        """Whether any of them says when."""
        return not (self.cron is None and self.every is None and self.at is None)

    @property
    def zone(self) -> tzinfo | None:
        """The zone that was named; raises `InvalidSchedule` for one that is unknown."""
        return None if self.tz is None else ZoneInfo(zones.zone(self.tz).name)

    def check_alone(self) -> None:
        """Refuse, as wrong usage, what only means something beside a trigger."""
        self._check_cron_options()
        if self.tz is not None:
            raise click.UsageError("--tz is where the clock of --cron hangs: a schedule has its own")

    def trigger(self, now: int, start: int | None) -> Trigger:
        """Return what the options say, seen from now; an interval begins with ``start``.

        Raises `InvalidSchedule`; what contradicts itself is wrong usage.
        """
        if sum(each is not None for each in (self.cron, self.every, self.at)) != 1:
            raise click.UsageError("say when: --cron EXPRESSION, --every 5m or --at MOMENT; one of them")
        if self.cron is not None:
            return Cron(
                self.cron,
                tz=self.tz,
                seconds=self.seconds,
                on_gap=self.on_gap or "run_after",
                on_overlap=self.on_overlap or "first",
            )
        self._check_cron_options()
        if self.every is not None:
            return _every(self.every, None if start is None else from_micros(start))
        assert self.at is not None  # noqa: S101 - one of the three was given
        return At(from_micros(ahead("at", self.at, now, self.zone)))

    @staticmethod
    def spread(trigger: Trigger) -> bool:
        """Whether a trigger has an H, which the schedule's name decides."""
        return isinstance(trigger, Cron) and trigger.spread

    def _check_cron_options(self) -> None:
        said = {"--seconds": self.seconds, "--on-gap": self.on_gap, "--on-overlap": self.on_overlap}
        strange = next((option for option, value in said.items() if value), None)
        if self.cron is None and strange is not None:
            raise click.UsageError(f"{strange} belongs to --cron")


def timing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say when to a command, which takes them as ``timing``."""

    @functools.wraps(command)
    def with_timing(**given: Any) -> None:  # noqa: ANN401 - click hands over what options hold
        command(timing=Timing(**{name: given.pop(name) for name in Timing.__slots__}), **given)

    decorated = cast("Callable[..., None]", with_timing)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _every(length: int, start: datetime | None) -> Every:
    whole, rest = divmod(length, SECOND)
    return Every(seconds=whole + rest / SECOND if rest else whole, start=start)


def _interval(text: str) -> int:
    length = parse(text)
    if length < _SHORTEST:
        raise ValueError(f"{text!r} is no interval; the shortest is {short(_SHORTEST)}")
    return length


#: Microseconds.
_SHORTEST = 10_000

_OPTIONS = (
    click.option("--cron", metavar="EXPRESSION", help='By a cron expression: "0 9 * * mon-fri".'),
    click.option("--every", metavar="DURATION", callback=reading(_interval), help="In an interval: 5m, 1h30m."),
    click.option("--at", metavar="MOMENT", callback=reading(named), help="Once: 09:00 (the next), 2026-11-21T03:04Z."),
    click.option(
        "--tz", metavar="ZONE", help="Where the clock hangs: Europe/Berlin.  [default: BACKBURNER_TZ, else UTC]"
    ),
    click.option("--seconds", is_flag=True, help="The expression has six fields, the second first."),
    click.option(
        "--on-gap",
        type=click.Choice(get_args(OnGap)),
        help="What becomes of a time that clocks set forward leave out.  [default: run_after]",
    ),
    click.option(
        "--on-overlap",
        type=click.Choice(get_args(OnOverlap)),
        help="Which runs of a time that clocks set back bring twice.  [default: first]",
    ),
)
