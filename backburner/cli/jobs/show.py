"""`backburner jobs show`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
from rich.text import Text

from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.children import children_of
from backburner.cli.jobs.lookup import look_up
from backburner.cli.jobs.record import error_line, job_json, reason_line, state_of
from backburner.cli.jobs.waiting import waits_for
from backburner.cli.render import Mode, json_option, mode, note, one, safe
from backburner.cli.store import opened, url_option
from backburner.cli.times import ago, iso
from backburner.model.duration import about, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import Attempt, JobRecord

__all__ = ["command"]


@click.command("show")
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def command(*, job_id: str, as_json: bool, url: str | None) -> None:
    """Show one job: arguments, state, children, every attempt and its error, what it waits for.

    ID may be the beginning of an id, as long as no other begins so.
    """
    asyncio.run(_show(job_id, mode(as_json=as_json), url))


async def _show(job_id: str, how: Mode, url: str | None) -> None:
    async with opened(url) as backend:
        page = await look_up(backend.reader, job_id)
        if not page.jobs:
            raise Failed(f"there is no job {job_id}; its retention may have passed", Exit.NOTHING)
        job, now = page.jobs[0], page.now
        history = await backend.reader.history(job.id)
        waits = await waits_for(backend, job, now)
        children = await children_of(backend.reader, job)
    value = {
        **job_json(job, now),
        "waits_for": waits or None,
        "children": children.value(),
        "attempts": [_attempt_json(item) for item in history],
    }
    attempts = [("attempt", *_attempt_line(item)) for item in history] if how is Mode.LINES else []
    text = [_attempt_text(item, full=item is history[-1]) for item in history]
    fields = [*_fields(job, now, waits), *children.fields(brief=how is Mode.TABLE), *attempts]
    one(how, value, fields, text=text)
    if not children.whole:
        note("there may be more children: only the last 5,000 are read")


def _fields(job: JobRecord, now: int, waits: str) -> Sequence[tuple[str, ...]]:
    """Return what is known of the job, by name; what is not known is left out."""
    state = state_of(job, now)
    known = {
        "id": job.id,
        "kind": job.kind,
        "state": _state(job, state),
        "waits for": waits,
        "arguments": job.args,
        "headers": job.headers or "",
        "result": job.result or "",
        "progress": _progress(job),
        "checkpoint": job.checkpoint or "",
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
    reason = reason_line(job)
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
    """Write an attempt for a person; only the last one's traceback in full, for they tend to be alike."""
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
