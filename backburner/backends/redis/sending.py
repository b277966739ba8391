"""What scripts are sent: jobs, settlements, requests and whole jobs, as arguments.

Scripts read no bytes in msgpack, only text, and no numbers of 64 bits: those go as hexadecimal digits.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.backends.content import refuse_events
from backburner.backends.redis.packing import LETTERS, eight
from backburner.backends.splitting import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backburner.model.event import NewEvent
    from backburner.model.job import Attempt, JobImage, NewJob, Settlement
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import ClaimRequest, Letter

__all__ = [
    "Argument",
    "counter_flaw",
    "events",
    "image",
    "job",
    "letter",
    "operation",
    "pack",
    "request",
    "settlements",
]

Argument = str | bytes | int


pack = msgspec.msgpack.Encoder().encode

#: Before 16 digits: an instant, or a duration that counts from the store's now.
_AT, _IN = "=", "+"
_ALL_BITS = (1 << 64) - 1
_NOTHING = b"\xc0"
_INTEGER = b"\xd3"
_PRIORITIES = "0123456789"
_COUNTER = 1 << 32


def job(new: NewJob, token: int | None = None) -> tuple[Argument, ...]:
    """Return a new job as scripts take it in; ``token`` is drawn for one that may be born."""
    due = None
    if new.at is not None:
        due = _AT + _digits(max(0, new.at))
    elif new.delay > 0:
        due = _IN + _digits(new.delay)
    links = None
    if (
        new.unique is not None
        or new.parent is not None
        or new.lanes
        or new.expires_in is not None
        or new.expires_at is not None
    ):
        links = _links(new)
    if token is None and due is None and links is None and not new.gate:
        rest = b""
    else:
        rest = pack((new.gate, due, links, None if token is None else _digits(token)))
    return new.id, new.queue, _PRIORITIES[new.priority], _body(new), rest


def settlements(all_: Sequence[Settlement]) -> list[Argument]:
    """Return settlements as ``settle.lua`` takes them, their follow-ups behind them."""
    args: list[Argument] = [len(all_)]
    following: list[Argument] = []
    count = 0
    for each in all_:
        if is_plain(each):
            args += (each.id, eight(each.token), "c", each.result or "", b"")
            continue
        more = _more(each)
        if each.jobs:
            more["jobs"] = (count + 1, count + len(each.jobs))
            count += len(each.jobs)
            for follow_up in each.jobs:
                following += job(follow_up)
        args += (each.id, eight(each.token), LETTERS[each.state], each.result or "", pack(more) if more else b"")
    return args + following


def request(asked: ClaimRequest) -> bytes:
    """Return a node's demand as ``claiming.lua`` takes it."""
    signatures = asked.signatures
    return pack(
        {
            "node": asked.node,
            "limit": asked.limit,
            "queues": list(asked.queues.items()),
            "kinds": {kind: signatures.get(kind, "") for kind in asked.kinds},
            "suspect": asked.suspect,
        }
    )


def letter(found: Letter) -> tuple[Argument, ...]:
    """Return a letter as ``disposing.lua`` takes it."""
    more = {name: text for name in ("args", "retry", "gate") if (text := getattr(found, name))}
    return found.id, eight(found.token), pack(more) if more else b""


def events(new: Sequence[NewEvent]) -> bytes:
    """Return events as ``logging.lua`` takes them; raises `StoreRefused` for what cannot be kept."""
    if not new:
        return b""
    refuse_events(new)
    return pack([(each.name, each.subject, each.data, each.kept, each.held, each.id, each.job) for each in new])


def operation(seen: OperationRecord) -> bytes:
    """Return an operation as ``operating.lua`` takes it: what names it, and what is to be written."""
    return pack({"id": seen.id, "version": seen.version, "state": seen.state, "active": seen.active})


def image(whole: JobImage) -> tuple[Argument, ...]:
    """Return a whole job as ``restore.lua`` takes it; its counters have been seen to by `counter_flaw`."""
    record = whole.record
    linked = bool(record.lanes) or any(
        value is not None for value in (whole.unique_until, record.unique, record.parent, record.expires_at)
    )
    links = _NOTHING
    if linked:
        states = "".join(LETTERS[state] for state in whole.unique_states)
        links = b"\x96" + _or_nothing(record.expires_at) + _or_nothing(whole.unique_until)
        links += pack(record.unique) + pack(states) + pack(record.parent)
        links += pack(record.lanes or None)
    value = b"\x94" + _or_nothing(record.created_at) + _or_nothing(record.due_at) + links + _body(record)
    head = struct.pack(
        ">cccc4I4q",
        LETTERS[record.state].encode(),
        b"l" if linked else b"-",
        b"-",
        b"-",
        *(record.attempt, record.failures, record.crashes, record.interruptions),
        *(record.token, record.due_at, record.started_at or 0, record.ended_at or 0),
    )
    more: dict[str, object] = {
        "node": record.node,
        "gate": record.gate or None,
        "backoff": None if record.backoff is None else str(record.backoff),
        "reason": record.reason,
        "error": record.error or None,
        "message": record.message or None,
        "fingerprint": record.fingerprint or None,
        "progress": None if record.done is None else _progress(record.done, record.total),
        "checkpoint": record.checkpoint,
        "result": record.result,
    }
    run = head + pack({name: value for name, value in more.items() if value is not None})
    return record.id, value, run, record.gate, len(whole.history), *map(_attempt, whole.history)


def counter_flaw(whole: JobImage) -> str | None:
    """Say which of a whole job's counters are beyond those kept here; None for none."""
    record = whole.record
    counters = {
        "attempt": record.attempt,
        "failures": record.failures,
        "crashes": record.crashes,
        "interruptions": record.interruptions,
    }
    flaws = [f"{name} is {count}" for name, count in counters.items() if not 0 <= count < _COUNTER]
    flaws += [
        f"an attempt's number is {attempt.attempt}" for attempt in whole.history if not 0 <= attempt.attempt < _COUNTER
    ]
    return f"{flaws[0]}, not within 32 bits" if flaws else None


def _body(new: Any) -> bytes:  # noqa: ANN401 - a NewJob or a JobRecord, which share these fields
    if new.timeout is None and new.retry is None and not new.tags and new.headers is None:
        return pack((new.kind, new.queue, new.priority, new.args))
    return pack((new.kind, new.queue, new.priority, new.args, new.timeout, new.retry, new.tags, new.headers))


def _links(new: NewJob) -> tuple[object, ...]:
    expires = None
    if new.expires_in is not None:
        expires = _IN + _digits(new.expires_in)
    elif new.expires_at is not None:
        expires = _AT + _digits(new.expires_at)
    unique, lanes = new.unique, new.lanes or None
    if unique is None:
        return expires, None, None, "", new.parent, lanes
    until = None if unique.period is None else _IN + _digits(unique.period)
    return expires, until, unique.key, "".join(LETTERS[state] for state in unique.states), new.parent, lanes


def _more(each: Settlement) -> dict[str, object]:
    more: dict[str, object] = dict(_said(each))
    if each.ending is not None:
        more["history"] = (each.ending, each.error, each.message, each.traceback, each.fingerprint)
        if each.error:
            more |= {"error": each.error, "message": each.message, "fingerprint": each.fingerprint}
    return more


def _said(each: Settlement) -> Iterable[tuple[str, object]]:
    if each.reason is not None:
        yield "reason", each.reason
    if each.delay > 0:
        yield "delay", _IN + _digits(each.delay)
    if each.gate:
        yield "gate", each.gate
    if each.backoff is not None:
        yield "backoff", str(each.backoff)
    for name in ("failed", "crashed", "interrupted", "unstarted"):
        count: int = getattr(each, name)
        if count:
            yield name, count
    if each.progress is not None:
        yield "progress", _progress(*each.progress)
    if each.checkpoint is not None:
        yield "checkpoint", each.checkpoint
    if each.lent is not None:
        yield "lent", each.lent


def _progress(done: int, total: int | None) -> str:
    return str(done) if total is None else f"{done}/{total}"


def _digits(value: int) -> str:
    return f"{value & _ALL_BITS:016x}"


def _or_nothing(value: int | None) -> bytes:
    return _NOTHING if value is None else _INTEGER + eight(value)


def _attempt(attempt: Attempt) -> bytes:
    raised = (attempt.ending, attempt.error, attempt.message, attempt.traceback, attempt.fingerprint)
    return struct.pack(">I2q", attempt.attempt, attempt.started_at, attempt.ended_at) + pack((attempt.node, raised))
