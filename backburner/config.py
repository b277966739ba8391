"""The engine's settings: the one file that reads the environment.

An argument given to `Backburner` wins, else the variable, else the default. Variables are written for people
(``BACKBURNER_LEASE=30s``); each is turned into what the argument would have been and then checked by the same rule.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, cast

from msgspec import UNSET, UnsetType

from backburner.backends import urls
from backburner.errors import CallRefused, InvalidOption, InvalidSetting
from backburner.jobs.definition import check_timeout
from backburner.model.clock import SECOND
from backburner.model.duration import parse, short
from backburner.model.names import check_name
from backburner.model.times import duration
from backburner.ports.jobs import Keep
from backburner.resilience.retry import RetryPolicy, policy
from backburner.scheduler.zones import zone

__all__ = ["Options", "Settings", "load", "queue_slots", "store_url", "time_zone"]

T = TypeVar("T")

Duration = timedelta | float

_DAY = 86_400 * SECOND
_KEEP = Keep(completed=_DAY, cancelled=7 * _DAY, dead=90 * _DAY, ticks=30 * _DAY, events=7 * _DAY)

_PREFIX = "BACKBURNER_"
#: A service called backburner makes Kubernetes set BACKBURNER_PORT_80_TCP_ADDR and the like in every pod.
_FOREIGN = re.compile(r"BACKBURNER_(TEST_.*|(.*_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_.*)?)")


class Options(TypedDict, total=False):
    """What `Backburner` takes beside jobs. None, or left out, is "not given"; for ``timeout`` None is "no limit"."""

    url: str | None
    run: bool | None
    queues: Mapping[str, int] | None
    slots: int | None
    retry: str | RetryPolicy | None
    timeout: Duration | UnsetType | None
    threads: int | None
    processes: int | None
    lease: Duration | None
    grace: Duration | None
    write_timeout: Duration | None
    stall_limit: Duration | None
    keep: Mapping[str, Duration | None] | None
    tz: str | None
    secrets: Collection[str] | None
    migrate: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked settings. Durations are microseconds."""

    url: str
    #: Run jobs; otherwise only store them.
    run: bool
    #: Slots by queue.
    queues: Mapping[str, int]
    #: Slots of this node over all its queues.
    slots: int
    #: For jobs that name none of their own.
    retry: RetryPolicy
    #: For jobs that name none of their own; 0 is no limit.
    timeout: int
    threads: int
    processes: int
    lease: int
    #: How long runs may go on once the engine is told to stop.
    grace: int
    #: How long a caller waits for the store to take a write.
    write_timeout: int
    #: A loop silent for so long loses the node's lease.
    stall_limit: int
    #: How long ended jobs are kept.
    keep: Keep
    #: The time zone of schedules that name none.
    tz: str
    #: What is masked beside what is annotated so: members of a name wherever they are, dotted paths into arguments.
    secrets: tuple[str, ...]
    #: Install an empty store at the start, and bring an older schema up to date where the store allows it.
    migrate: bool

    def as_worker(self, queues: Mapping[str, int] | Collection[str] | None = None) -> Settings:
        """Return these settings for a worker: running, whatever ``run`` says, and only these queues, if any are given.

        Queues come with slots of their own, or by names that are declared. Raises `InvalidOption`.
        """
        return replace(self, run=True, queues=self.queues if queues is None else self._chosen(queues))

    def as_client(self) -> Settings:
        """Return these settings for a process that only stores."""
        return replace(self, run=False)

    def _chosen(self, queues: Mapping[str, int] | Collection[str]) -> Mapping[str, int]:
        if isinstance(queues, Mapping):
            return _queues(cast("Mapping[str, int]", queues))
        unknown = next((name for name in queues if name not in self.queues), None)
        if unknown is not None or not queues or isinstance(queues, str):
            declared = ", ".join(self.queues)
            raise InvalidOption(
                f"queues={queues!r}: {unknown!r} is not declared ({declared} is); name declared ones in a list, "
                'or give slots: {"mail": 5}',
                option="queues",
            )
        return {name: self.queues[name] for name in queues}


def load(environ: Mapping[str, str] | None = None, **given: Unpack[Options]) -> Settings:
    """Return the settings, from what is given and from the process's environment, or another.

    Raises `InvalidOption` (or `InvalidUrl`, `UnknownRetryPolicy`) for an argument; `InvalidSetting` for a variable,
    naming it, its value and the mend, and for a ``BACKBURNER_*`` variable that means nothing. An empty variable is not
    set.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ)
    pick = _Picker(environ, given)
    return Settings(
        url=pick("url", str, _url, "sqlite:///backburner.db"),
        run=pick("run", _flag, _bool("run"), default=True),
        queues=pick("queues", queue_slots, _queues, {"default": 10}),
        slots=pick("slots", _whole, _count("slots"), 100),
        retry=pick("retry", str, policy, policy("standard")),
        timeout=pick("timeout", _limit, check_timeout, 3600 * SECOND),
        threads=pick("threads", _whole, _count("threads"), min(8, (os.cpu_count() or 1) + 4)),
        processes=pick("processes", _whole, _count("processes"), max(1, (os.cpu_count() or 1) - 1)),
        lease=pick("lease", _length, _at_least("lease", 3 * SECOND), 30 * SECOND),
        grace=pick("grace", _length, _at_least("grace", 0), 20 * SECOND),
        write_timeout=pick("write_timeout", _length, _at_least("write_timeout", SECOND // 10), 5 * SECOND),
        stall_limit=pick("stall_limit", _length, _at_least("stall_limit", SECOND), 300 * SECOND),
        keep=pick("keep", _keep_lengths, _keep, _KEEP),
        tz=pick("tz", str, _zone, "UTC"),
        secrets=pick("secrets", _names, _secrets, ()),
        migrate=pick("migrate", _flag, _bool("migrate"), default=True),
    )


def store_url(given: str | None, environ: Mapping[str, str] | None = None) -> str:
    """Return the store's URL alone, for tools that operate a store without running jobs; the same rules as `load`."""
    return _Picker(os.environ if environ is None else environ, {"url": given})(
        "url", str, _url, "sqlite:///backburner.db"
    )


def time_zone(environ: Mapping[str, str] | None = None) -> str:
    """Return the zone of schedules that name none, for tools that put schedules without an app."""
    return _Picker(os.environ if environ is None else environ, {})("tz", str, _zone, "UTC")


def queue_slots(text: str) -> dict[str, int]:
    """Read ``default=10,mail=5``; raises `ValueError`."""
    return {name: _whole(slots) for name, slots in _pairs(text, "default=10,mail=5").items()}


@dataclass(frozen=True, slots=True)
class _Picker:
    """Picks one setting from where it was given."""

    environ: Mapping[str, str]
    given: Mapping[str, Any]

    def __call__(self, option: str, read: Callable[[str], object], check: Callable[[Any], T], default: T) -> T:
        """Return what ``check`` makes of the argument, or of what ``read`` makes of the variable, or the default."""
        value = self.given.get(option, UNSET)
        if value is not UNSET and (value is not None or option in _NONE_MEANS):
            return check(value)
        variable = _PREFIX + option.upper()
        text = self.environ.get(variable, "").strip() if variable in _VARIABLES else ""
        if not text:
            return default
        try:
            return check(read(text))
        except (ValueError, CallRefused) as error:
            # What is wrong with a URL is told with the URL, its password masked.
            shown = variable if option == "url" else f"{variable}={text!r}"
            raise InvalidSetting(f"{shown} is refused: {error}", variable=variable) from error


#: Where None is a value.
_NONE_MEANS = frozenset({"timeout"})
#: What an operator may set without a deploy; the rest belongs to the code.
_VARIABLES = frozenset(_PREFIX + option.upper() for option in Options.__optional_keys__ - {"stall_limit", "migrate"})


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    for name in environ:
        if not name.startswith(_PREFIX) or name in _VARIABLES or _FOREIGN.fullmatch(name):
            continue
        own = {variable.removeprefix(_PREFIX): variable for variable in _VARIABLES}
        near = get_close_matches(name.removeprefix(_PREFIX), own, n=1)
        mend = f"did you mean {own[near[0]]}?" if near else f"there are: {', '.join(sorted(_VARIABLES))}"
        raise InvalidSetting(f"{name} is set but is no setting; {mend}", variable=name)


# ---- from a variable's text to what an argument would be -----------------------------------------------------------


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError("write 1 or 0") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number: write one such as 10") from None


def _length(text: str) -> timedelta:
    return timedelta(microseconds=parse(text))


def _limit(text: str) -> timedelta | None:
    return None if text.lower() == "none" else _length(text)


def _keep_lengths(text: str) -> dict[str, timedelta | None]:
    pairs = _pairs(text, "completed=1d,cancelled=7d,dead=forever")
    return {state: None if length == "forever" else _length(length) for state, length in pairs.items()}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _pairs(text: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.rpartition("="))
        if not equals or name in pairs:
            raise ValueError(f"{part!r} is {'given twice' if equals else 'no pair'}; write it like {example}")
        pairs[name] = value
    return pairs


# ---- from an argument to a setting ---------------------------------------------------------------------------------


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption(f"url is a text, not {type(value).__name__}", option="url")
    urls.parse(value, base=Path("/"))
    return value


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption(f"tz is the name of a time zone, such as Europe/Berlin, not {value!r}", option="tz")
    zone(value)
    return value


def _secrets(value: object) -> tuple[str, ...]:
    names = cast("Collection[object]", value)
    listed = isinstance(value, Collection) and not isinstance(value, str)
    if not listed or not all(isinstance(name, str) and all(name.split(".")) for name in names):
        raise InvalidOption(
            'secrets is names of fields, and paths into arguments, in a list: ["password", "card.number"], not '
            f"{value!r}",
            option="secrets",
        )
    return tuple(sorted({str(name) for name in names}))


def _bool(option: str) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if not isinstance(value, bool):
            raise InvalidOption(f"{option} is True or False, not {value!r}", option=option)
        return value

    return check


def _count(option: str) -> Callable[[object], int]:
    def check(value: object) -> int:
        if type(value) is not int or value < 1:
            raise InvalidOption(f"{option} is a whole number from 1, not {value!r}", option=option)
        return value

    return check


def _queues(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping) or not value:
        raise InvalidOption(
            f'queues is slots by name, such as {{"default": 10}}, not {value!r}; '
            "run=False makes a node that runs nothing",
            option="queues",
        )
    slots = cast("Mapping[object, object]", value)
    return {check_name(name, "queue"): _count(f"queues[{name!r}]")(count) for name, count in slots.items()}


def _at_least(option: str, least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:  # noqa: ANN401 - what a user passed; `duration` checks its type
        length = duration(value, option)
        if length < least:
            raise InvalidOption(f"{option} must be at least {short(least)}, not {short(length)}", option=option)
        return length

    return check


def _keep(value: object) -> Keep:
    states = Keep.__struct_fields__
    if not isinstance(value, Mapping) or not set(cast("Mapping[str, Any]", value)) <= set(states):
        raise InvalidOption(
            f"keep is durations by state ({', '.join(states)}), such as "
            f'{{"completed": timedelta(days=1), "dead": None}}, not {value!r}; None is for ever',
            option="keep",
        )
    lengths: dict[str, int | None] = {state: getattr(_KEEP, state) for state in states}
    for state, length in cast("Mapping[str, Any]", value).items():
        lengths[state] = None if length is None else duration(length, f"keep[{state!r}]")
    return Keep(**lengths)
