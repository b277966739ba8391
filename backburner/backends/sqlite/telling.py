"""What is told of jobs, in the step that changes them: a statement a verb, where anybody asks for it.

What only their rows know, kind, queue and the number of the attempt, the statement takes from there; so it comes before
what changes them.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.backends.sqlite.steps import Statement, Steps
    from backburner.model.job import Claim, NewJob, Settlement

__all__ = ["PURGED", "REPLAYED", "claimed", "of_cancelled", "of_completed", "of_letters", "of_settled", "stored"]

_WRITE = load("write_events")
_OF_JOBS = load("tell_of_jobs")
_OF_RUNS = load("tell_of_runs")
_OF_LETTERS = load("tell_of_letters")

_ENQUEUED: Final = "job.enqueued"
_CLAIMED: Final = "job.claimed"
_COMPLETED: Final = "job.completed"
_CANCELLED: Final = "job.cancelled"
_DEAD: Final = "job.dead"
_INTERRUPTED: Final = "job.interrupted"
REPLAYED: Final = "job.replayed"
PURGED: Final = "job.purged"

#: By the state that a run is settled to; and, for pending, by how it ended, if not as any other interruption does.
_NAMES: Final = {JobState.COMPLETED: _COMPLETED, JobState.CANCELLED: _CANCELLED, JobState.DEAD: _DEAD}
_AGAIN: Final[Mapping[Ending | None, str]] = {
    Ending.FAILED: "job.retry",
    Ending.SNOOZED: "job.snoozed",
    Ending.CRASHED: "job.crashed",
    Ending.MISFIT: "job.misfit",
    None: "job.released",
}
#: What a settlement is asked for that becomes such an event.
_FIELDS: Final = {
    _COMPLETED: (),
    _CANCELLED: ("reason",),
    _DEAD: ("reason", "error", "message", "fingerprint"),
    "job.retry": ("error", "message", "fingerprint", "delay"),
    "job.snoozed": ("message", "delay"),
    _INTERRUPTED: ("error", "message"),
    "job.crashed": ("error", "message"),
    "job.misfit": ("error", "message"),
    "job.released": ("delay",),
}

_encode = msgspec.json.Encoder().encode


def stored(
    waiting: Iterable[NewJob],
    revived: Iterable[NewJob],
    born: Iterable[tuple[NewJob, int]],
    *,
    node: str | None,
    asked: Asked,
    now: int,
) -> list[Statement]:
    """Return what tells of jobs that are stored to wait, anew, or born at a node: at most one statement."""
    events: list[tuple[str, str, str]] = []
    if _ENQUEUED in asked.jobs:
        jobs = chain(waiting, revived, (job for job, _ in born))
        events += [(_ENQUEUED, job.id, _data(job, 0)) for job in jobs]
    if _CLAIMED in asked.jobs:
        events += [(_CLAIMED, job.id, _data(job, 1, node=node)) for job, _ in born]
    return [(_WRITE, {"events": to_json(events), "now": now})] if events else []


def claimed(claims: Sequence[Claim], node: str, asked: Asked, now: int) -> Steps[None]:
    """Tell of jobs that were handed to a node."""
    if claims and _CLAIMED in asked.jobs:
        events = [(_CLAIMED, claim.id, _data(claim, claim.attempt, node=node)) for claim in claims]
        yield _WRITE, {"events": to_json(events), "now": now}


def of_completed(settlements: Sequence[Settlement], node: str, asked: Asked, now: int) -> Steps[None]:
    """Tell of plain ends, those whose claims the node still holds; comes before they are written."""
    if _COMPLETED in asked.jobs:
        claims = dict.fromkeys((each.id, each.token) for each in settlements)
        beside = _encode_fields(node=node)
        yield _OF_RUNS, {"claims": to_json([*claims]), "node": node, "name": _COMPLETED, "beside": beside, "now": now}


def of_settled(
    settlements: Sequence[Settlement], cancelled: Mapping[str, str], node: str, asked: Asked, now: int
) -> Steps[None]:
    """Tell of settlements that are applied, at most one a job; comes before they are written.

    ``cancelled`` has why those were to be cancelled that would have been put back.
    """
    if not asked.jobs:
        return
    events = [
        (each.id, name, _encode_fields(node=node, **_fields(each, name, cancelled)))
        for each in settlements
        if (name := _name(each, cancelled)) in asked.jobs
    ]
    if events:
        yield _OF_JOBS, {"events": to_json(events), "now": now}


def of_cancelled(ids: Sequence[str], reason: str, asked: Asked, now: int) -> Steps[None]:
    """Tell of jobs that are cancelled while they wait."""
    if _CANCELLED in asked.jobs:
        beside = _encode_fields(reason=reason)
        yield _OF_JOBS, {"events": to_json([(job_id, _CANCELLED, beside) for job_id in ids]), "now": now}


def of_letters(seqs: str, name: str, asked: Asked, now: int, *, reason: str | None = None) -> Steps[None]:
    """Tell of those jobs of these seqs (JSON) that are dead; comes before they are brought back or deleted."""
    if name in asked.jobs:
        yield _OF_LETTERS, {"seqs": seqs, "name": name, "beside": _encode_fields(reason=reason), "now": now}


def _name(each: Settlement, cancelled: Mapping[str, str]) -> str:
    """Return what a settlement that ends a run is told as."""
    if each.state is JobState.PENDING:
        return _CANCELLED if each.id in cancelled else _AGAIN.get(each.ending, _INTERRUPTED)
    return _NAMES[each.state]


def _fields(each: Settlement, name: str, cancelled: Mapping[str, str]) -> dict[str, str | float | None]:
    fields: dict[str, str | float | None] = {field: getattr(each, field) for field in _FIELDS[name]}
    if "delay" in fields:
        fields["delay"] = max(0, each.delay) / SECOND
    if each.state is JobState.PENDING and name == _CANCELLED:
        fields["reason"] = cancelled[each.id]
    return fields


def _data(job: NewJob | Claim, attempt: int, **fields: str | None) -> str:
    return _encode({"kind": job.kind, "queue": job.queue, "attempt": attempt} | _said(fields)).decode()


def _encode_fields(**fields: str | float | None) -> str:
    return _encode(_said(fields)).decode()


def _said(fields: Mapping[str, str | float | None]) -> dict[str, str | float | None]:
    """Return fields without those that say nothing."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}
