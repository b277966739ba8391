"""How far an operation has come, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.render import Mode, note, one
from backburner.cli.times import ago, iso
from backburner.dlq.state import Phase
from backburner.model.condition_text import condition_text
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from backburner.dlq.progress import Progress

__all__ = ["progress_json", "standing", "tell"]

_DONE = {"replay": "replayed", "purge": "purged", "import": "imported"}
_GOING = {
    Phase.FIRST: "the first ten go",
    Phase.WAITING: "waits for the first ten",
    Phase.REST: "running",
    Phase.WATCHING: "watching first attempts",
    Phase.ENDED: "ended",
}


def standing(progress: Progress) -> str:
    """Say in a few words where it stands."""
    if progress.stopped:
        return f"stopped: {progress.stopped.removeprefix('stopped ')}"
    if progress.phase is None:
        return "of another version of backburner"
    return _GOING[progress.phase]


def progress_json(progress: Progress) -> dict[str, object]:
    """Return it as `--json` writes it."""
    return {
        "id": progress.id,
        "action": progress.action,
        "phase": progress.phase,
        "active": progress.active,
        "stopped": progress.stopped or None,
        "found": progress.found,
        "done": progress.done,
        "kept": progress.kept,
        "missed": progress.missed,
        "refused": progress.refused,
        "busy": progress.busy,
        "cut": progress.cut,
        "first_attempts": {"ok": progress.ok, "failed": progress.failed, "awaited": progress.awaited},
        "conflicts": progress.conflicts,
        "refusals": {refusal.id: refusal.why for refusal in progress.refusals},
        "pace": None if progress.pace is None else rate_text(progress.pace),
        "ids": progress.ids,
        "filter": {name: value for name, value in _filter(progress).items() if value},
        "by": progress.by,
        "reason": progress.reason,
        "created_at": iso(progress.created_at),
        "changed_at": iso(progress.changed_at),
    }


def tell(progress: Progress, how: Mode) -> None:
    """Write what became of an operation, and say to a person what stayed dead, and why."""
    fields: list[tuple[str, ...]] = [
        ("id", progress.id),
        ("action", progress.action),
        ("state", standing(progress)),
        ("letters", str(progress.found)),
        (_DONE.get(progress.action, "done"), str(progress.done)),
        *((name, str(count)) for name, count in _rest(progress).items() if count),
        *_attempts(progress),
        *(("conflict", job_id, holder) for job_id, holder in progress.conflicts.items()),
        *(("refusal", refusal.id, refusal.why) for refusal in progress.refusals),
        *((name, text) for name, text in (("by", progress.by), ("reason", progress.reason)) if text),
        ("began", f"{iso(progress.created_at)} ({ago(progress.created_at, progress.now)})"),
    ]
    one(how, progress_json(progress), fields)
    if progress.kept:
        why = "needs them" if progress.action == "purge" else "holds their unique key"
        note(f"{progress.kept:,} stay dead letters, since another job {why}")
    if progress.refused:
        note(f"{progress.refused:,} stay dead letters, since they could not go back as asked")
    if progress.cut:
        note(f"{progress.cut:,} have more dead children than go with them: replay those by their kind")
    if progress.stopped:
        note(f"it stopped: {progress.stopped.removeprefix('stopped ')}; the rest stays dead")


def _rest(progress: Progress) -> dict[str, int]:
    return {
        "kept": progress.kept,
        "missed": progress.missed,
        "refused": progress.refused,
        "busy": progress.busy,
        "cut": progress.cut,
    }


def _attempts(progress: Progress) -> list[tuple[str, ...]]:
    if not progress.ok + progress.failed + progress.awaited:
        return []
    return [("first attempts", f"{progress.ok:,} ok, {progress.failed:,} failed again, {progress.awaited:,} to come")]


def _filter(progress: Progress) -> dict[str, object]:
    where = progress.where
    return {
        "kinds": where.kinds,
        "queues": where.queues,
        "error": where.error,
        "fingerprint": where.fingerprint,
        "tags": where.tags,
        "since": iso(where.since),
        "until": iso(where.until),
        "where": [condition_text(condition) for condition in where.where],
        "died_before": iso(where.ended_before),
    }
