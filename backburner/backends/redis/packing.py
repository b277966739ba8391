"""Jobs as Redis keeps them, and as the scripts answer them; the forms are told at the head of ``lua/tables.lua``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from backburner.model.job import Attempt, Cause, Claim, Ending, JobImage, JobRecord, JobState, Recovered
from backburner.ports.nodes import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LETTERS", "attempts", "claims", "eight", "held", "image", "number", "record", "recovered"]

#: The letters of the states.
LETTERS = {
    JobState.PENDING: "p",
    JobState.RUNNING: "r",
    JobState.COMPLETED: "c",
    JobState.CANCELLED: "x",
    JobState.DEAD: "d",
}
_STATES = {letter: state for state, letter in LETTERS.items()}
_STATE_OF = {letter.encode(): state for letter, state in _STATES.items()}

_ASKED = b"a"


class _Links(msgspec.Struct, array_like=True, gc=False):
    expires: int | None
    until: int | None
    key: str | None
    states: str
    parent: str | None
    lanes: tuple[str, ...] | None


class _Body(msgspec.Struct, array_like=True, gc=False):
    kind: str
    queue: str
    priority: int
    args: str
    timeout: int | None = None
    retry: str | None = None
    tags: tuple[str, ...] = ()
    headers: str | None = None


class _Job(msgspec.Struct, array_like=True, gc=False):
    created: int
    due: int
    links: _Links | None
    body: _Body


class _More(msgspec.Struct, gc=False):
    """What a run has beside its head. Numbers that only people and engines count with are text."""

    node: str | None = None
    gate: str = ""
    asked: str | None = None
    cause: Cause | None = None
    lapsed: str | None = None
    backoff: str | None = None
    reason: str | None = None
    error: str = ""
    message: str = ""
    fingerprint: str = ""
    progress: str | None = None
    checkpoint: str | None = None
    result: str | None = None


class _Raised(msgspec.Struct, array_like=True, gc=False):
    ending: Ending
    error: str
    message: str
    traceback: str
    fingerprint: str


_NOTHING = _More()
#: State, linked, lent, asked; attempt, failures, crashes, interruptions; token, due, started, ended.
_HEAD = struct.Struct(">cccc4I4q")
#: Which of a job's attempts it is, its number, when it started and ended.
_ATTEMPT = struct.Struct(">2I2q")

_decode_job = msgspec.msgpack.Decoder(_Job).decode
_decode_more = msgspec.msgpack.Decoder(_More).decode
_decode_attempt = msgspec.msgpack.Decoder(tuple[str, _Raised]).decode


def eight(value: int) -> bytes:
    """Return a number of 64 bits as 8 bytes."""
    return value.to_bytes(8, "big", signed=True)


def number(value: bytes) -> int:
    """Return the number that 8 bytes stand for."""
    return int.from_bytes(value, "big", signed=True)


# ---- reading -----------------------------------------------------------------------------------------------------------


def record(job_id: str, job: bytes, run: bytes | None) -> JobRecord:
    """Return a job as it is read; no run is one that waits in the line since it was stored."""
    return _record(job_id, _decode_job(job), run)


def image(job_id: str, job: bytes, run: bytes | None, history: Sequence[bytes]) -> JobImage:
    """Return all that is kept of a job; ``history`` are its members there."""
    stored = _decode_job(job)
    links = stored.links
    return JobImage(
        record=_record(job_id, stored, run),
        unique_states=() if links is None else tuple(_STATES[letter] for letter in links.states),
        unique_until=None if links is None else links.until,
        asked=None if run is None else _more(run).asked,
        history=attempts(history),
    )


def attempts(history: Sequence[bytes]) -> tuple[Attempt, ...]:
    """Return a job's attempts that did not complete, oldest first, from its members of the history in their order."""
    return tuple(map(_attempt, history))


def held(job_id: str, run: bytes) -> Held:
    """Return a claim as a beat answers it; the head of the run will do."""
    _, _, _, asked, _, _, _, _, token, _, _, _ = _HEAD.unpack_from(run)
    return Held(job_id, token, asked == _ASKED)


def claims(answer: Sequence[bytes], *, now: int, token: int) -> Iterator[Claim]:
    """Go through claims: id, job, run and gate each; ``token`` is of those without a run, which never ran before."""
    for at in range(0, len(answer), 4):
        job_id, job, run, gate = answer[at : at + 4]
        yield _claim(job_id.decode(), job, run, gate.decode(), now=now, token=token)


def recovered(answer: Sequence[bytes], *, now: int) -> Iterator[Recovered]:
    """Go through jobs that were handed over to be settled: id, job, run and gate each."""
    for at, claim in enumerate(claims(answer, now=now, token=0)):
        more = _more(answer[4 * at + 2])
        yield Recovered(claim=claim, cause=more.cause or Cause.LAPSED, node=more.lapsed, cancel=more.asked is not None)


def _more(run: bytes) -> _More:
    return _decode_more(memoryview(run)[_HEAD.size :])


def _claim(job_id: str, job: bytes, run: bytes, gate: str, *, now: int, token: int) -> Claim:
    stored = _decode_job(job)
    body, links = stored.body, stored.links
    attempt, failures, crashes, interruptions, due, more = 1, 0, 0, 0, stored.due, _NOTHING
    if run:
        _, _, _, _, attempt, failures, crashes, interruptions, token, due, _, _ = _HEAD.unpack_from(run)
        more = _more(run)
    return Claim(
        id=job_id,
        kind=body.kind,
        queue=body.queue,
        args=body.args,
        priority=body.priority,
        attempt=attempt,
        failures=failures,
        crashes=crashes,
        interruptions=interruptions,
        token=token,
        timeout=body.timeout,
        retry=body.retry,
        backoff=None if more.backoff is None else int(more.backoff),
        created_at=stored.created,
        due_at=due,
        expires_at=None if links is None else links.expires,
        claimed_at=now,
        gate=gate,
        headers=body.headers,
        checkpoint=more.checkpoint,
        lanes=_lanes(links),
    )


def _record(job_id: str, stored: _Job, run: bytes | None) -> JobRecord:
    body, links = stored.body, stored.links
    state, attempt, failures, crashes, interruptions, token = JobState.PENDING, 0, 0, 0, 0, 0
    due, started, ended, more = stored.due, 0, 0, _NOTHING
    if run is not None:
        head = _HEAD.unpack_from(run)
        state = _STATE_OF[head[0]]
        attempt, failures, crashes, interruptions, token, due, started, ended = head[4:]
        more = _more(run)
    done, total = (None, None) if more.progress is None else _progress(more.progress)
    return JobRecord(
        id=job_id,
        kind=body.kind,
        queue=body.queue,
        state=state,
        gate=more.gate,
        priority=body.priority,
        args=body.args,
        result=more.result,
        reason=more.reason,
        tags=body.tags,
        attempt=attempt,
        failures=failures,
        crashes=crashes,
        interruptions=interruptions,
        token=token,
        node=more.node,
        cancel=more.asked is not None,
        timeout=body.timeout,
        retry=body.retry,
        backoff=None if more.backoff is None else int(more.backoff),
        created_at=stored.created,
        due_at=due,
        expires_at=None if links is None else links.expires,
        started_at=started or None,
        ended_at=ended or None,
        error=more.error,
        message=more.message,
        fingerprint=more.fingerprint,
        headers=body.headers,
        parent=None if links is None else links.parent,
        unique=None if links is None else links.key,
        checkpoint=more.checkpoint,
        done=done,
        total=total,
        lanes=_lanes(links),
    )


def _lanes(links: _Links | None) -> tuple[str, ...]:
    return () if links is None or links.lanes is None else links.lanes


def _progress(text: str) -> tuple[int, int | None]:
    done, _, total = text.partition("/")
    return int(done), int(total) if total else None


def _attempt(member: bytes) -> Attempt:
    start = member.index(b"\0") + 1
    _, attempt, started, ended = _ATTEMPT.unpack_from(member, start)
    node, raised = _decode_attempt(memoryview(member)[start + _ATTEMPT.size :])
    return Attempt(
        attempt=attempt,
        ending=raised.ending,
        node=node,
        started_at=started,
        ended_at=ended,
        error=raised.error,
        message=raised.message,
        traceback=raised.traceback,
        fingerprint=raised.fingerprint,
    )
