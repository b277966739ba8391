"""Schedules in code: ``@bb.cron(…)``, ``@bb.every(…)``, ``@bb.at(…)``, over functions, jobs and calls."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from backburner.errors import InvalidArguments, InvalidOption
from backburner.jobs.call import Call
from backburner.jobs.declaring import Declares
from backburner.jobs.job import Job
from backburner.scheduler.declared import Declaration
from backburner.scheduler.rule import SAID, ScheduleOptions, make_rule
from backburner.scheduler.schedules import check_schedule_name
from backburner.scheduler.triggers import At, Cron, Every

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from typing import Unpack

    from backburner.scheduler.triggers import Trigger

__all__ = ["Named", "Periodic"]

P = ParamSpec("P")
R = TypeVar("R")


class Named(ScheduleOptions, total=False):
    """What a schedule in code takes beside when it is due."""

    name: str
    """Its name: by default the kind of its job. A job's second schedule needs one of its own."""


class Scheduled(Protocol):
    """What ``@bb.cron(…)`` answers."""

    @overload
    def __call__(self, target: Job[P, R], /) -> Job[P, R]: ...
    @overload
    def __call__(self, target: Call[R], /) -> Call[R]: ...
    @overload
    def __call__(self, target: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def __call__(self, target: Callable[P, R], /) -> Job[P, R]: ...


class Periodic(Declares):
    """Where schedules are declared beside jobs."""

    @abstractmethod
    def _schedule(self, declaration: Declaration) -> None:
        """Take a declaration; raises `DuplicateSchedule`."""

    def cron(
        self,
        expression: str,
        *,
        tz: str | None = None,
        seconds: bool = False,
        on_gap: Literal["run_after", "skip"] = "run_after",
        on_overlap: Literal["first", "second", "both"] = "first",
        **options: Unpack[Named],
    ) -> Scheduled:
        """Have a job stored at each moment of a cron expression, as ``@bb.cron("0 9 * * mon-fri", tz="Europe/Berlin")``.

        Over a function, which becomes a job; over a job; or over a call, for one with arguments:
        ``bb.cron("0 6 * * *", name="daily-report")(report("daily"))``. The first of six fields are seconds, with
        ``seconds=True``. ``tz`` is the engine's by default.

        Of fixed times, those that a clock put forward passes over run right after (``on_gap="skip"``: not at all), and
        those that a clock put back repeats run the first time (or the ``"second"``, or ``"both"``). Expressions whose hour
        or minute begins with ``*`` follow the time that passes. Options are those of `ScheduleOptions`.

        Raises `InvalidSchedule` for what surprises, with a spelling that does not; `InvalidOption`; `DuplicateSchedule`.
        """
        return self._declaring(Cron(expression, tz=tz, seconds=seconds, on_gap=on_gap, on_overlap=on_overlap), options)

    def every(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        **options: Unpack[Named],
    ) -> Scheduled:
        """Have a job stored in a fixed interval, as ``@bb.every(minutes=5)``.

        Intervals count from 1970 UTC, so that five minutes are :00, :05, :10 on every node and after every start; or from
        ``start``. They are of elapsed time: for a time of day write `cron`. The rest as there.
        """
        every = Every(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds, start=options.get("start"))
        return self._declaring(every, options)

    def at(self, moment: datetime, **options: Unpack[Named]) -> Scheduled:
        """Have a job stored once, at an aware moment. One that had passed when it was first declared never is."""
        return self._declaring(At(moment), options)

    def scheduled(self, trigger: Trigger, **options: Unpack[Named]) -> Scheduled:
        """Have a job stored at each moment of a trigger: ``@bb.scheduled(Cron("0 9 * * *") | Cron("0 12 * * sat"))``."""
        return self._declaring(trigger, options)

    def _declaring(self, trigger: Trigger, options: Named) -> Scheduled:
        strange = options.keys() - Named.__annotations__.keys()
        if strange:
            raise InvalidOption(
                f"a schedule has no option {min(strange)!r}; it takes {', '.join(Named.__annotations__)}",
                option=min(strange),
            )
        policies = cast("ScheduleOptions", {name: value for name, value in options.items() if name != "name"})
        # What is wrong with it is said where it stands; the engine that makes the rule knows its zone and the day.
        asked_later = callable(policies.get("exclude"))
        rule = make_rule(trigger, {**policies, "exclude": ()} if asked_later else policies, tz="UTC", now=0)
        if "exclude" in policies and not asked_later:
            # It is read more than once, and an iterator only has its days once.
            policies["exclude"] = rule.exclude

        def declare(target: Any) -> Any:  # noqa: ANN401 - `Scheduled` says what
            made: Job[..., Any] | Call[Any]
            made = cast("Job[..., Any] | Call[Any]", target) if isinstance(target, Job | Call) else self.job(target)
            call = made if isinstance(made, Call) else _bare(made)
            call.used = True
            self._schedule(
                Declaration(
                    name=check_schedule_name(options.get("name", call.definition.kind)),
                    kind=call.definition.kind,
                    place=f"{call.definition.place}, {trigger.describe()}",
                    trigger=trigger,
                    call=call,
                    said={name: value for name, value in options.items() if name in SAID},
                    options=policies,
                )
            )
            return made

        return cast("Scheduled", declare)


def _bare(job: Job[..., Any]) -> Call[Any]:
    """Return the call of a job without arguments."""
    try:
        return job()
    except InvalidArguments as error:
        raise InvalidArguments(
            f"{error}; a schedule that is written over a function calls it without arguments: schedule a call, as "
            f"bb.cron(…)({job.kind}(…))"
        ) from None
