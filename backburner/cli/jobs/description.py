"""A job as a person and a program are told of it: all that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from backburner.cli.jobs.children import children_of
from backburner.cli.jobs.record import error_line, job_json, state_of
from backburner.cli.jobs.waiting import reason_json, sentence
from backburner.cli.render import Mode, note, one, safe
from backburner.cli.times import ago, iso
from backburner.codec.marks import masked
from backburner.jobs.explaining import Explainer
from backburner.jobs.reasons import ending
from backburner.model.duration import about, short
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.jobs.reasons import Reason
    from backburner.model.job import Attempt, JobRecord
    from backburner.ports.backend import Backend

__all__ = ["describe"]


async def describe(
    backend: Backend, job: JobRecord, now: int, how: Mode, *, every: bool = False, more: Mapping[str, str] | None = None
) -> None:
    """Write a job, its attempts, its children and what it waits for; and what more is known of it, by name.

    With ``every``, a person is shown the traceback of each attempt, and not of the last alone.
    """
    history = await backend.reader.history(job.id)
    waits = await Explainer(backend).explain(job, now) if job.state is JobState.PENDING else ()
    children = await children_of(backend.reader, job)
    more = more or {}
    value = {
        **job_json(job, now),
        "waits_for": [reason_json(reason) for reason in waits],
        **{name.replace(" ", "_"): text for name, text in more.items()},
        "children": children.value(),
        "attempts": [_attempt_json(item) for item in history],
    }
    attempts = [("attempt", *_attempt_line(item)) for item in history] if how is Mode.LINES else []
    text = [_attempt_text(item, full=every or item is history[-1]) for item in history]
    fields = [*_fields(job, now, waits), *more.items(), *children.fields(brief=how is Mode.TABLE), *attempts]
    one(how, value, fields, text=text)
    if not children.whole:
        note("there may be more children: only the last 5,000 are read")


def _fields(job: JobRecord, now: int, waits: Sequence[Reason]) -> Sequence[tuple[str, ...]]:
    """Return what is known of the job, by name; what is not known is left out."""
    state = state_of(job, now)
    known = {
        "id": job.id,
        "kind": job.kind,
        "state": _state(job, state),
        "waits for": "; ".join(sentence(reason, now) for reason in waits),
        "arguments": masked(job.args),
        "headers": job.headers or "",
        "result": masked(job.result or ""),
        "progress": _progress(job),
        "checkpoint": masked(job.checkpoint or ""),
        "queue": f"{job.queue}, priority {job.priority}",
        "tags": ", ".join(job.tags),
        "unique key": job.unique or "",
        "parent": job.parent or "",
        "tried": _tried(job),
        "node": job.node or "",
        "stopping": _asked(job) if job.cancel else "",
        "timeout": short(job.timeout) if job.timeout else "",
        "created": _moment(job.created_at, now),
        "due": _moment(job.due_at, now),
        "expires": _moment(job.expires_at, now),
        "started": _moment(job.started_at, now),
        "ended": _moment(job.ended_at, now),
        "fingerprint": job.fingerprint,
    }
    return [(name, text) for name, text in known.items() if text]


def _state(job: JobRecord, state: str) -> str:
    reason = ending(job)
    return f"{state}: {reason.removeprefix(f'{state} ')}" if reason else state


def _progress(job: JobRecord) -> str:
    if job.done is None:
        return ""
    return f"{job.done:,}" if job.total is None else f"{job.done:,} of {job.total:,}"


def _asked(job: JobRecord) -> str:
    # Only a child has a group; who asked is told once it has ended.
    return f"a person{' or its group' if job.parent else ''} asked to cancel it"


def _tried(job: JobRecord) -> str:
    parts = {"failed": job.failures, "crashed": job.crashes, "interrupted": job.interruptions}
    counted = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    return f"{job.attempt} ({counted})" if counted else str(job.attempt)


def _moment(moment: int | None, now: int) -> str:
    return "" if moment is None else f"{iso(moment)} ({ago(moment, now)})"


def _attempt_line(attempt: Attempt) -> tuple[str, ...]:
    return (
        str(attempt.attempt),
        attempt.ending,
        iso(attempt.started_at),
        iso(attempt.ended_at),
        attempt.node,
        error_line(attempt.error, attempt.message),
    )


def _attempt_text(attempt: Attempt, *, full: bool) -> Text:
    """Write an attempt for a person; by default only the last one's traceback, for they tend to be alike."""
    took = about(attempt.ended_at - attempt.started_at)
    head = f"\nattempt {attempt.attempt} {attempt.ending} {iso(attempt.ended_at)} after {took} on {attempt.node}"
    text = Text(head, style="bold")
    error = error_line(attempt.error, attempt.message)
    if error:
        text.append(f"\n  {safe(error)}", style="not bold red")
    if full and attempt.traceback:
        lines = (f"\n  {safe(line)}" for line in attempt.traceback.splitlines())
        text.append("".join(lines), style="not bold dim")
    return text


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    return {
        "attempt": attempt.attempt,
        "ending": attempt.ending,
        "node": attempt.node,
        "started_at": iso(attempt.started_at),
        "ended_at": iso(attempt.ended_at),
        "error": attempt.error or None,
        "message": attempt.message or None,
        "traceback": attempt.traceback or None,
        "fingerprint": attempt.fingerprint or None,
    }
