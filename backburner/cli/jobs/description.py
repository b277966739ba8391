"""A job as a person and a program are told of it: all that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.jobs.attempts import attempt_json, attempt_line, attempts_text
from backburner.cli.jobs.children import children_of
from backburner.cli.jobs.origin import ancestors_of, kin, schedule_of
from backburner.cli.jobs.record import job_json, state_of
from backburner.cli.jobs.waiting import reason_json, sentence
from backburner.cli.render import Mode, note, one
from backburner.cli.times import ago, iso
from backburner.codec.marks import masked
from backburner.dlq.letters import replayed
from backburner.jobs.explaining import Explainer
from backburner.jobs.reasons import ending
from backburner.model.duration import short
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.jobs.reasons import Reason
    from backburner.model.job import JobRecord
    from backburner.ports.backend import Backend

__all__ = ["describe"]


async def describe(
    backend: Backend,
    job: JobRecord,
    now: int,
    how: Mode,
    *,
    every: bool = False,
    known: Mapping[str, str] | None = None,
) -> None:
    """Write a job, its attempts, its children where it comes from and what it waits for; and what else is ``known``.

    With ``every``, a person is shown each attempt in full with its traceback, and not the last alone.
    """
    history = await backend.reader.history(job.id)
    waits = await Explainer(backend).explain(job, now) if job.state is JobState.PENDING else ()
    children = await children_of(backend.reader, job)
    ancestors = await ancestors_of(backend.reader, job)
    schedule = schedule_of(job)
    more = {"replayed": "before; its failures are counted since"} if replayed(job, history) else {}
    more |= known or {}
    value = {
        **job_json(job, now),
        "waits_for": [reason_json(reason) for reason in waits],
        **{name.replace(" ", "_"): text for name, text in more.items()},
        "schedule": None if schedule is None else {"name": schedule[0], "tick": schedule[1]},
        "ancestors": [kin(above, now) for above in ancestors],
        "children": children.value(),
        "attempts": [attempt_json(item) for item in history],
    }
    attempts = [("attempt", *attempt_line(item)) for item in history] if how is Mode.LINES else []
    above = [("ancestor", other.id, other.kind, state_of(other, now)) for other in ancestors]
    fields = [*_fields(job, now, waits), *more.items(), *above, *children.fields(brief=how is Mode.TABLE), *attempts]
    one(how, value, fields, text=attempts_text(history, every=every))
    if not children.whole:
        note("there may be more children: only the last 5,000 are read")


def _fields(job: JobRecord, now: int, waits: Sequence[Reason]) -> Sequence[tuple[str, ...]]:
    """Return what is known of the job, by name; what is not known is left out."""
    state, schedule = state_of(job, now), schedule_of(job)
    known = {
        "id": job.id,
        "kind": job.kind,
        "state": _state(job, state),
        "waits for": "; ".join(sentence(reason, now) for reason in waits),
        "schedule": "" if schedule is None else f"{schedule[0]}, for its tick of {schedule[1]}",
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
