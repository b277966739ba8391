"""A job's record, for people and for programs."""

from __future__ import annotations

import msgspec

from backburner.cli.times import ago, iso
from backburner.codec.marks import masked
from backburner.jobs.reasons import at_gate, ending
from backburner.model.clock import SECOND
from backburner.model.duration import about
from backburner.model.job import JobRecord, JobState
from backburner.model.query import Shown, shown

__all__ = ["error_line", "gist", "job_json", "state_of"]


def state_of(job: JobRecord, now: int) -> Shown:
    """Return the state that people are shown."""
    return shown(job.state, failures=job.failures, due_at=job.due_at, now=now)


def error_line(error: str, message: str) -> str:
    """Write an error in a line: its type and what it said, as far as there are any."""
    return ": ".join(filter(None, (error, message)))


def gist(job: JobRecord, now: int) -> str:
    """Say the one thing most worth knowing of a job in its state."""
    error = error_line(job.error, job.message)
    match job.state:
        case JobState.PENDING if job.gate:
            return at_gate(job)
        case JobState.PENDING:
            due = f"due {ago(job.due_at, now)}"
            return f"{due}; {error}" if error else due
        case JobState.RUNNING:
            since = about(now - (job.started_at or now))
            return f"for {since} on {job.node}{', asked to stop' if job.cancel else ''}"
        case JobState.COMPLETED:
            return f"took {about((job.ended_at or 0) - (job.started_at or 0))}"
        case JobState.CANCELLED | JobState.DEAD:
            reason = ending(job)
            if reason == job.state:
                return error
            # A rejection's reason quotes what was raised.
            return reason if reason and job.message in reason else "; ".join(filter(None, (reason, error)))


def job_json(job: JobRecord, now: int) -> dict[str, object]:
    """Return a job as `--json` writes it: times in UTC, durations in seconds, arguments and result as they are, but for secrets."""
    return {
        "id": job.id,
        "kind": job.kind,
        "queue": job.queue,
        "state": state_of(job, now),
        "reason": job.reason,
        "priority": job.priority,
        "tags": job.tags,
        "args": _raw(job.args),
        "headers": _raw(job.headers),
        "result": _raw(job.result),
        "progress": None if job.done is None else {"done": job.done, "total": job.total},
        "checkpoint": _raw(job.checkpoint),
        "parent": job.parent,
        "unique": job.unique,
        "attempt": job.attempt,
        "failures": job.failures,
        "crashes": job.crashes,
        "interruptions": job.interruptions,
        "node": job.node,
        "cancel_asked": job.cancel,
        "gate": job.gate or None,
        "timeout": None if job.timeout is None else job.timeout / SECOND,
        "created_at": iso(job.created_at),
        "due_at": iso(job.due_at),
        "expires_at": iso(job.expires_at) or None,
        "started_at": iso(job.started_at) or None,
        "ended_at": iso(job.ended_at) or None,
        "error": job.error or None,
        "message": job.message or None,
        "fingerprint": job.fingerprint or None,
    }


def _raw(text: str | None) -> msgspec.Raw | None:
    """Hand on JSON text as it is stored, its secrets masked."""
    return None if text is None else msgspec.Raw(masked(text).encode())
