"""Which job a test expects, and in what a stored one differs from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from backburner.codec.marks import masked
from backburner.codec.payloads import canonical
from backburner.errors import InvalidOption, NotACall
from backburner.jobs.call import Call
from backburner.jobs.definition import check_priority, check_tags, check_timeout
from backburner.jobs.job import Job
from backburner.model.clock import from_micros
from backburner.model.duration import about
from backburner.model.names import check_name
from backburner.model.query import shown
from backburner.model.times import duration, moment
from backburner.resilience.retry import encode, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.backends.memory.row import Row
    from backburner.jobs.definition import Definition
    from backburner.jobs.options import CallOptions
    from backburner.jobs.unique import Unique

__all__ = ["Expected", "expect", "nearest", "told"]

_decode = msgspec.json.Decoder(dict[str, Any]).decode
#: What a job does not have.
_NOTHING = "nothing"


def _name(option: str) -> Callable[[Any], str]:
    return lambda value: check_name(value, option)


def _due(row: Row) -> int:
    """Return when the job was due at first, whatever has become of it since."""
    return row.created_at + row.job.delay if row.job.at is None else row.job.at


def _expiry(row: Row, given: object) -> object:
    if row.expires_at is None:
        return None
    return row.expires_at if isinstance(given, datetime) else row.expires_at - row.created_at


#: How an option is read: as it was given, and of a job.
_OPTIONS: Mapping[str, tuple[Callable[[Any], object], Callable[[Row, object], object]]] = {
    "id": (_name("id"), lambda row, _: row.job.id),
    "queue": (_name("queue"), lambda row, _: row.job.queue),
    "priority": (check_priority, lambda row, _: row.job.priority),
    "delay": (lambda given: duration(given, "delay"), lambda row, _: _due(row) - row.created_at),
    "at": (lambda given: moment(given, "at"), lambda row, _: _due(row)),
    "expires": (
        lambda given: moment(given, "expires") if isinstance(given, datetime) else duration(given, "expires"),
        _expiry,
    ),
    "timeout": (check_timeout, lambda row, _: row.job.timeout),
    "retry": (lambda given: encode(policy(given)), lambda row, _: row.job.retry),
    "tags": (check_tags, lambda row, _: row.job.tags),
}
_LENGTHS = frozenset({"delay", "timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A kind, arguments, options: whatever is not named may be anything."""

    definition: Definition
    #: What the arguments must be; None: anything.
    args: Mapping[str, Any] | None
    #: As it was given, by name.
    options: Mapping[str, Any]
    #: The unique key that the job must have; empty: whichever, None: none.
    key: str | None = ""

    def matches(self, row: Row) -> bool:
        """Tell whether this job is one that is meant."""
        return not self.differences(row)

    def differences(self, row: Row) -> Sequence[tuple[str, str, str]]:
        """Return in what a job differs: the name, what is expected, what is stored."""
        if row.job.kind != self.definition.kind:
            return [("job", self.definition.kind, row.job.kind)]
        return [*self._in_arguments(row), *self._in_options(row)]

    def distance(self, row: Row) -> tuple[bool, int]:
        """Return how far a job is from being meant: another kind is farther than any difference of one kind."""
        return row.job.kind != self.definition.kind, len(self.differences(row))

    def _in_arguments(self, row: Row) -> list[tuple[str, str, str]]:
        if self.args is None:
            return []
        stored, public = _decode(row.job.args), _public(row.job.args)
        wanted = _public(msgspec.json.encode(self.args).decode())
        return [
            (name, repr(wanted[name]), repr(public[name]) if name in public else _NOTHING)
            for name, expected in self.args.items()
            if name not in stored or not _alike(stored[name], expected)
        ]

    def _in_options(self, row: Row) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        for name, given in self.options.items():
            read, stored_of = _OPTIONS[name]
            expected, stored = read(given), stored_of(row, given)
            same = set(expected) <= set(stored) if name == "tags" else expected == stored  # type: ignore[call-overload]
            if not same:
                found.append((name, _option(name, expected), _option(name, stored)))
        held = None if row.job.unique is None else row.job.unique.key
        if self.key not in ("", held):
            found.append(("unique", self.key or _NOTHING, held or _NOTHING))
        return found

    def __str__(self) -> str:
        """Write it as the call that would store it."""
        args = "…" if self.args is None else _listed(msgspec.json.encode(self.args).decode())
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"{self.definition.kind}({args}){options}"


def expect(meant: object, args: Mapping[str, object] | None, options: CallOptions) -> Expected:
    """Make what is expected of a call, or of a job with any arguments, or with some. Raises what `create_task` would."""
    if isinstance(meant, Call):
        call: Call[Any] = meant  # pyright: ignore[reportUnknownVariableType] - of what, it need not know
        call.used = True
        if args is not None:
            raise InvalidOption("the call has its arguments: args= goes with the job alone, send_email", option="args")
        options = cast("CallOptions", {**(call.options or {}), **options})
        bound = _decode(call.definition.signature.encode(call.bound))
        unique = options.get("unique")
        return Expected(
            definition=call.definition,
            args=bound,
            options=_checked(options),
            key=_key(call, unique) if "unique" in options else "",
        )
    if isinstance(meant, Job):
        definition = cast("Job[..., Any]", meant).definition
        if "unique" in options:
            raise InvalidOption("a unique key is that of a call: send_email('a@b.c')", option="unique")
        return Expected(definition=definition, args=_plain(args), options=_checked(options))
    raise NotACall(f"expect a call, send_email('a@b.c'), or a job, send_email, not {type(meant).__name__}")


def nearest(expected: Expected, rows: Sequence[Row], now: int) -> str:
    """Write which stored job comes nearest to what is expected, the last of several, and in what it differs."""
    if not rows:
        return "no job is stored at all"
    row = min(reversed(rows), key=expected.distance)
    differences = expected.differences(row)
    width = max(len(name) for name, _, _ in differences)
    lines = [f"nearest of {len(rows):,} stored: {told(row, now)}"]
    for name, wanted, stored in differences:
        lines += [f"  - {name.ljust(width)}  {wanted}   (expected)", f"  + {name.ljust(width)}  {stored}   (stored)"]
    return "\n".join(lines)


def told(row: Row, now: int) -> str:
    """Write a stored job in a line."""
    state = shown(row.state, failures=row.failures, due_at=row.due_at, now=now)
    return f"{row.job.kind}({_listed(row.job.args)}), {state}, {row.job.id}"


def _checked(options: CallOptions) -> dict[str, Any]:
    unknown = options.keys() - _OPTIONS.keys() - {"unique"}
    if unknown:
        raise InvalidOption(
            f"no job is stored with an option {min(unknown)!r}; expect {', '.join(_OPTIONS)}", option=min(unknown)
        )
    checked = {name: value for name, value in options.items() if name != "unique"}
    for name, value in checked.items():
        _OPTIONS[name][0](value)
    return checked


def _key(call: Call[Any], unique: Unique | None) -> str | None:
    if unique is None:
        return None
    kind = call.definition.kind
    unique.check(kind, call.definition.signature.names)
    return unique.key(kind, canonical(call.bound)).key


def _plain(args: Mapping[str, object] | None) -> Mapping[str, Any] | None:
    return None if args is None else _decode(msgspec.json.encode(args))


def _alike(stored: object, expected: object) -> bool:
    """Compare as JSON does: true is not 1."""
    return msgspec.json.encode(stored, order="sorted") == msgspec.json.encode(expected, order="sorted")


def _public(args: str) -> dict[str, Any]:
    """Return stored arguments as they may be shown."""
    return _decode(masked(args))


def _listed(args: str) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in _public(args).items())


def _option(name: str, value: object) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, int) and name in _LENGTHS:
        return about(value) if value else "0 s"
    if isinstance(value, int) and name == "at":
        return from_micros(value).isoformat()
    return repr(value)
