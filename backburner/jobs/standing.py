"""The job of a schedule, as it is stored with it: built anew for each tick, from what the code says by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from backburner.codec.payloads import canonical
from backburner.errors import CallRefused, InvalidOption, PayloadNotReadable
from backburner.jobs.call import Call, take
from backburner.jobs.definition import check_priority
from backburner.model.clock import from_micros
from backburner.model.job import DEFAULT_PRIORITY, DEFAULT_QUEUE, NewJob
from backburner.model.names import check_name
from backburner.model.schedule import SCHEDULE_HEADER, TICK_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.jobs.definition import Definition
    from backburner.jobs.options import TaskOptions
    from backburner.jobs.order import Orders

__all__ = ["Built", "Standing", "build", "order", "order_unseen"]

#: Options that name one job, or when it is due: a schedule's own business.
_ONCE = ("id", "name", "at", "delay", "tx")


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schedule's job, as stored."""

    #: As the code had it when the schedule was stored.
    job: NewJob
    #: The options that were said for this schedule: they stay. All others are the declaration's, as it is when it fires.
    said: tuple[str, ...] = ()


class Built(NamedTuple):
    """A job for one tick."""

    job: NewJob
    #: Why it is as it was once stored, and not as the code has it now; None where it is.
    stale: str | None


_encode = msgspec.json.Encoder(order="deterministic").encode
_decoder = msgspec.json.Decoder(Standing)
_headers = msgspec.json.Encoder().encode


def order(orders: Orders, call: Call[Any], options: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of a call and what is stored of it; ``options`` are those said of the schedule. Raises `CallRefused`."""
    said = {**((call.options or {}) if type(call) is Call else {}), **options}
    once = next((option for option in _ONCE if option in said), None)
    if once is not None:
        take(call)
        raise InvalidOption(
            f"a scheduled call takes no {once}=: it is stored once a tick, when that is due", option=once
        )
    job = orders.prepare(call, cast("TaskOptions", options))
    standing = Standing(msgspec.structs.replace(job, id="", headers=None), tuple(sorted(said)))
    return job.kind, _encode(standing).decode()


def order_unseen(
    kind: str, args: str, *, queue: str | None = None, priority: int | None = None, home: str = DEFAULT_QUEUE
) -> str:
    """Return what is stored of a job whose code is not at hand; ``args`` is JSON text of an object.

    ``home`` is the queue that its code names, as far as is known: it is gone by where the code is not known either.
    """
    said = {"queue": queue, "priority": priority}
    job = NewJob(
        id="",
        kind=check_name(kind, "kind"),
        queue=home if queue is None else check_name(queue, "queue"),
        args=args,
        priority=DEFAULT_PRIORITY if priority is None else check_priority(priority),
    )
    return _encode(Standing(job, tuple(name for name, value in said.items() if value is not None))).decode()


def build(
    text: str,
    known: Mapping[str, Definition],
    *,
    job_id: str,
    schedule: str,
    tick: int,
    lane: str | None,
    homes: Mapping[str, str] | None = None,
) -> Built:
    """Make the job of a tick (microseconds); ``known`` are the kinds there are here, ``homes`` the queues of others.

    Raises `PayloadNotReadable` for what other code stored.
    """
    try:
        standing = _decoder.decode(text)
    except msgspec.MsgspecError as error:
        raise PayloadNotReadable(f"the job of schedule {schedule!r} cannot be read here: {error}", path=None) from error
    job, stale = standing.job, None
    definition = known.get(job.kind)
    lanes = job.lanes
    if definition is None:
        stale = f"this node does not know {job.kind}"
        if homes and "queue" not in standing.said:
            job = msgspec.structs.replace(job, queue=homes.get(job.kind, job.queue))
    else:
        try:
            job = _declared(job, definition, standing.said)
            lanes = (
                () if definition.options.lanes is None else definition.options.lanes.names(definition.kind, job.args)
            )
        except (CallRefused, PayloadNotReadable, LookupError) as error:
            stale = f"its arguments do not fit {definition.kind} here: {error}"
    headers = {SCHEDULE_HEADER: schedule, TICK_HEADER: from_micros(tick).isoformat()}
    return Built(
        msgspec.structs.replace(
            job,
            id=job_id,
            lanes=lanes if lane is None else (*lanes, lane),
            headers=_headers(headers).decode(),
        ),
        stale,
    )


def _declared(job: NewJob, definition: Definition, said: tuple[str, ...]) -> NewJob:
    """Return the job as its declaration has it now, but for what was said of it."""
    declared = definition.options
    # A person may have put it, whose command knows nothing of what is nested.
    changes: dict[str, Any] = {"kind": definition.kind, "args": definition.signature.marked(job.args)}
    if "queue" not in said:
        changes["queue"] = declared.queue
    if "priority" not in said:
        changes["priority"] = declared.priority
    if "expires" not in said:
        changes |= {"expires_in": declared.expires, "expires_at": None}
    if "tags" not in said:
        changes["tags"] = declared.tags
    if "unique" not in said:
        changes["unique"] = None
        if declared.unique is not None:
            args, kwargs = definition.signature.decode(job.args)
            changes["unique"] = declared.unique.key(definition.kind, canonical(definition.signature.bind(args, kwargs)))
    return msgspec.structs.replace(job, **changes)
