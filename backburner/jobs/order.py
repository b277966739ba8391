"""From a call and its options to the job that is stored; every refusal comes here, before anything is written."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from backburner.codec.payloads import canonical, has_nul
from backburner.errors import ArgumentNotStorable, InvalidOption, NotACall, UnknownKind
from backburner.jobs.call import Call, take
from backburner.jobs.definition import check_priority, check_tags, check_timeout
from backburner.jobs.job import Job
from backburner.jobs.options import CallOptions, TaskOptions
from backburner.jobs.unique import Unique
from backburner.model.ids import Ids
from backburner.model.job import NewJob, UniqueKey
from backburner.model.names import check_name
from backburner.model.times import duration, moment
from backburner.ports.telemetry import Hooks
from backburner.resilience.retry import encode, policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from backburner.jobs.registry import Kinds

__all__ = ["Orders", "Parent"]

_KNOWN = frozenset(TaskOptions.__annotations__)
#: Bytes of JSON: they are carried by every claim.
_HEADER_LIMIT = 8 * 1024


class Heir(Protocol):
    """The run from which a job has its headers."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What it hands on."""
        ...


class Parent(Heir, Protocol):
    """The run in which a job is stored."""

    @property
    def id(self) -> str:
        """Its job's id."""
        ...

    @property
    def created_at(self) -> int:
        """When its job was stored, in microseconds."""
        ...

    def ordinal(self, kind: str, args: str) -> int:
        """Count the children of this kind with these arguments: 0 for the first."""
        ...


class Orders:
    """Checks and encodes. ``kinds`` are those that may be stored, None for any; the limit is in bytes."""

    def __init__(
        self,
        kinds: Kinds | None,
        ids: Ids,
        *,
        argument_limit: int,
        headers: Callable[[], Mapping[str, str]] | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self._known = None if kinds is None else kinds.definitions
        self._ids = ids
        self._argument_limit = argument_limit
        self._headers = headers
        self._hooks = Hooks() if hooks is None else hooks
        #: What was carried last, and as the text that jobs have of it.
        self._carried: tuple[Mapping[str, str], str | None] = {}, None

    def prepare(
        self,
        call: Call[Any],
        options: TaskOptions,
        parent: Parent | None = None,
        *,
        heir: Heir | None = None,
        carried: Mapping[str, str] | None = None,
    ) -> NewJob:
        """Make the job of a call; a child of ``parent`` has the id that it had in the parent's earlier runs.

        ``carried`` is what `carry` answered, for calls that are prepared together.
        It inherits the headers of its parent, or of the run ``heir`` without being its child. Raises `CallRefused`.
        """
        if type(call) is not Call:
            raise NotACall(_not_a_call(call))
        call.used = True
        if call.options:
            options = cast("TaskOptions", {**call.options, **options})
        definition = call.definition
        if self._known is not None and self._known.get(definition.kind) is not definition:
            raise UnknownKind(
                f"{definition.kind} ({definition.place}) is not a job of this engine; "
                "decorate it with this engine's job decorator, or give the engine its Registry"
            )
        if call.given:
            raise _provided(call)
        args = definition.signature.encode(call.bound)
        limit = self._argument_limit
        if len(args) * 4 > limit and len(args.encode()) > limit:
            raise ArgumentNotStorable(
                f"{definition.kind}: the arguments take {len(args.encode()):,} bytes, {limit:,} are allowed; "
                "store the data where it belongs and pass its name"
            )
        declared = definition.options
        headers = None
        if carried is None:
            carried = self._hooks.carry()
        if carried or self._headers is not None or parent is not None or heir is not None:
            headers = self._headers_for(heir or parent, carried)
        if not options and parent is None and declared.unique is None and declared.lanes is None:
            return NewJob(
                id=self._ids.new(),
                kind=definition.kind,
                queue=declared.queue,
                args=args,
                priority=declared.priority,
                expires_in=declared.expires,
                tags=declared.tags,
                headers=headers,
            )
        return self._prepare_with(call, args, options, parent, headers)

    def carry(self) -> Mapping[str, str]:
        """Return what travels with each job that is prepared here and now."""
        return self._hooks.carry()

    def follow_up(self, call: Call[Any], options: CallOptions, run: Heir) -> NewJob:
        """Make the job that follows a run: no child of it, but with the headers that a child would have."""
        take(call)
        for option in ("name", "tx"):
            if option in options:
                raise InvalidOption(f"then takes no {option}=: a follow-up is stored once, with its job", option=option)
        return self.prepare(call, cast("TaskOptions", options), heir=run)

    def check_kind(self, kind: str) -> None:
        """Raise `UnknownKind` for a kind that may not be stored here."""
        if self._known is not None and kind not in self._known:
            raise UnknownKind(f"{kind} is not a job of this engine; give the engine its Registry")

    def _prepare_with(
        self, call: Call[Any], args: str, options: TaskOptions, parent: Parent | None, headers: str | None
    ) -> NewJob:
        definition = call.definition
        declared = definition.options
        unknown = options.keys() - _KNOWN
        if unknown:
            raise InvalidOption(
                f"create_task has no option {min(unknown)!r}; it takes {', '.join(TaskOptions.__annotations__)}",
                option=min(unknown),
            )
        if "delay" in options and "at" in options:
            raise InvalidOption("delay and at say the same thing twice; give one", option="at")
        expires_in, expires_at = _expiry(options["expires"]) if "expires" in options else (declared.expires, None)
        return NewJob(
            id=self._id(call, options, parent),
            kind=definition.kind,
            queue=check_name(options["queue"], "queue") if "queue" in options else declared.queue,
            args=args,
            priority=check_priority(options["priority"]) if "priority" in options else declared.priority,
            delay=duration(options["delay"], "delay") if "delay" in options else 0,
            at=moment(options["at"], "at") if "at" in options else None,
            expires_in=expires_in,
            expires_at=expires_at,
            timeout=check_timeout(options["timeout"]) if "timeout" in options else None,
            retry=encode(policy(options["retry"])) if "retry" in options else None,
            tags=(*declared.tags, *check_tags(options["tags"])) if "tags" in options else declared.tags,
            headers=headers,
            parent=None if parent is None else parent.id,
            unique=_unique(call, options.get("unique", declared.unique)),
            lanes=() if declared.lanes is None else declared.lanes.names(definition.kind, args),
        )

    def _id(self, call: Call[Any], options: TaskOptions, parent: Parent | None) -> str:
        kind = call.definition.kind
        if "id" in options:
            if "name" in options:
                raise InvalidOption("id and name both say which job it is; give one", option="name")
            return check_name(options["id"], "id")
        if "name" in options:
            name = check_name(options["name"], "name")
            if parent is None:
                raise InvalidOption(
                    "name= names a child of the job it is stored in; outside of one give id=", option="name"
                )
            return Ids.derived(parent.created_at, parent.id, kind, "name", name)
        if parent is None:
            return self._ids.new()
        args = canonical(call.bound).decode()
        return Ids.derived(parent.created_at, parent.id, kind, "args", args, str(parent.ordinal(kind, args)))

    def _headers_for(self, heir: Heir | None, carried: Mapping[str, str]) -> str | None:
        if heir is None and self._headers is None:
            if carried is not self._carried[0]:
                # Calls that are prepared together carry the same.
                self._carried = carried, self._written(None, carried)
            return self._carried[1]
        return self._written(heir, carried)

    def _written(self, heir: Heir | None, carried: Mapping[str, str]) -> str | None:
        headers = {**heir.headers, **carried} if heir is not None else dict(carried)
        if self._headers is not None:
            own = self._headers()
            if not isinstance(own, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidOption(f"headers= has to answer texts by name, not {own!r}", option="headers")
            headers |= own
        if not headers:
            return None
        if not all(type(name) is str and type(value) is str for name, value in headers.items()):
            raise InvalidOption(f"headers= has to answer texts by name, not {headers!r}", option="headers")
        try:
            text = msgspec.json.encode(headers).decode()
        except UnicodeEncodeError as error:
            raise InvalidOption(
                f"headers= answered half a character, remove it: {headers!r}", option="headers"
            ) from error
        if has_nul(text):
            raise InvalidOption(
                f"headers= answered a NUL, which no store takes, remove it: {headers!r}", option="headers"
            )
        if len(text.encode()) > _HEADER_LIMIT:
            raise InvalidOption(
                f"headers= answered {len(text.encode()):,} bytes, {_HEADER_LIMIT:,} are allowed", option="headers"
            )
        return text


def _provided(call: Call[Any]) -> ArgumentNotStorable:
    name = min(call.given or ())
    return ArgumentNotStorable(
        f"{call.definition.kind}(): argument {name} is provided where the job runs and cannot be stored; leave it out, or "
        "await the call to run it here",
        path=name,
    )


def _unique(call: Call[Any], unique: Unique | None) -> UniqueKey | None:
    if unique is None:
        return None
    if not isinstance(unique, Unique):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(f"unique={unique!r} is no Unique; write Unique(by=[…])", option="unique")
    definition = call.definition
    unique.check(definition.kind, definition.signature.names)
    return unique.key(definition.kind, canonical(call.bound))


def _expiry(given: timedelta | float | datetime) -> tuple[int | None, int | None]:
    """Return what was given as a duration from storing, or as a moment."""
    if isinstance(given, datetime):
        return None, moment(given, "expires")
    return duration(given, "expires"), None


def _not_a_call(value: object) -> str:
    if inspect.iscoroutine(value):
        value.close()  # it will never be awaited, and that is what this error says
        name = value.__name__
        return (
            f"create_task got a coroutine of {name}(); it cannot be stored; "
            f"decorate {name} with @bb.job and pass {name}(…)"
        )
    if isinstance(value, Job):
        return f"create_task got the job {value.kind} itself; call it: {value.kind}(…)"
    if isinstance(value, asyncio.Future):
        return (
            "create_task got a task that runs already; it cannot be stored; pass a call of a job, such as send_email(…)"
        )
    if callable(value):
        name = getattr(value, "__name__", "it")
        return f"create_task got the function {name}; decorate it with @bb.job and pass {name}(…)"
    return f"create_task takes a call of a job, such as send_email(…), not {type(value).__name__}"
