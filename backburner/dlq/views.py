"""Dead letters as an app is shown them: moments are aware datetimes, in UTC."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - frameworks read what a status is made of
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.codec.marks import masked
from backburner.model.clock import from_micros
from backburner.model.job import Ending  # noqa: TC001 - frameworks read what a status is made of

if TYPE_CHECKING:
    from backburner.dlq.letters import OneLetter
    from backburner.dlq.survey import Survey
    from backburner.model.job import Attempt, JobRecord
    from backburner.ports.jobs import FailureGroup

__all__ = [
    "Cause",
    "DeadLetter",
    "EndedAttempt",
    "Forecast",
    "WholeLetter",
    "cause_of",
    "forecast_of",
    "letter_of",
    "whole_letter_of",
]

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter as it was read."""

    id: str
    kind: str
    queue: str
    #: The arguments by name, as JSON gives them back, ``***`` for secrets; None where they are no JSON.
    args: Any
    tags: tuple[str, ...]
    #: Runs begun; of these, failures (since it was replayed last, if ever) and crashes.
    attempt: int
    failures: int
    crashes: int
    created: datetime
    died: datetime
    #: Why: ``exhausted`` (out of attempts), ``rejected: …``, ``poison`` (it killed its process), or the job's own words.
    reason: str | None
    #: The last error, as ``Type: message``; None where nothing was raised.
    error: str | None
    #: Of the last error: alike where type and innermost frames are. Empty where nothing was raised.
    fingerprint: str
    #: The node that ran it last.
    node: str | None
    #: The id of the job in whose run it was stored.
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAttempt:
    """An attempt that did not complete, as the history keeps it."""

    attempt: int
    ending: Ending
    node: str
    started: datetime
    ended: datetime
    #: As ``Type: message``; None where nothing was raised, and then the traceback is empty.
    error: str | None
    traceback: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeLetter(DeadLetter):
    """A dead letter with all that is kept of it."""

    #: Oldest first.
    history: tuple[EndedAttempt, ...]
    #: It has been replayed before; that set its failures to zero, and left its history.
    replayed: bool
    #: The ids of the newest replays that named it by its id; those that chose it otherwise are not known.
    replays: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Letters that died alike: of one fingerprint."""

    fingerprint: str
    #: Of the newest of them.
    error: str | None
    reason: str | None
    count: int
    #: When the first and the last of them died.
    first: datetime
    last: datetime
    #: How many there are of each kind.
    kinds: Mapping[str, int]
    #: The id of the newest of them.
    sample: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a replay or a purge would meet."""

    #: How many letters are meant.
    letters: int
    #: How many of them there are of each way to end: ``failed`` (out of attempts), ``rejected``, ``crashed`` (their process
    #: died: what they did until then is unknown), ``other``. Of many, as the newest of each cause ended.
    ends: Mapping[str, int]
    kinds: Mapping[str, int]
    #: Those of the kinds that no living node knows.
    unknown: tuple[str, ...]
    #: How many causes, by fingerprint.
    causes: int
    #: When the first and the last of them died; None without any.
    oldest: datetime | None
    newest: datetime | None
    #: The newest few.
    sample: tuple[DeadLetter, ...]
    #: Whether all of this is of every letter meant. Otherwise all but ``letters`` and ``sample`` is of the largest causes of
    #: all that match.
    exact: bool


def letter_of(job: JobRecord) -> DeadLetter:
    """Show a dead job."""
    return DeadLetter(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        args=_args(job.args),
        tags=job.tags,
        attempt=job.attempt,
        failures=job.failures,
        crashes=job.crashes,
        created=from_micros(job.created_at),
        died=from_micros(job.ended_at or 0),
        reason=job.reason,
        error=_error(job.error, job.message),
        fingerprint=job.fingerprint,
        node=job.node,
        parent=job.parent,
    )


def whole_letter_of(found: OneLetter) -> WholeLetter:
    """Show a letter with its history."""
    letter = letter_of(found.job)
    return WholeLetter(
        **{name: getattr(letter, name) for name in DeadLetter.__slots__},
        history=tuple(map(_attempt_of, found.history)),
        replayed=found.replayed,
        replays=found.replays,
    )


def cause_of(group: FailureGroup) -> Cause:
    """Show a group."""
    return Cause(
        fingerprint=group.fingerprint,
        error=_error(group.error, group.message),
        reason=group.reason,
        count=group.count,
        first=from_micros(group.first),
        last=from_micros(group.last),
        kinds=group.kinds,
        sample=group.sample,
    )


def forecast_of(found: Survey) -> Forecast:
    """Show a dry run."""
    return Forecast(
        letters=found.letters,
        ends=found.ends,
        kinds=found.kinds,
        unknown=found.unknown,
        causes=found.causes,
        oldest=None if found.oldest is None else from_micros(found.oldest),
        newest=None if found.newest is None else from_micros(found.newest),
        sample=tuple(map(letter_of, found.sample)),
        exact=found.exact,
    )


def _attempt_of(attempt: Attempt) -> EndedAttempt:
    return EndedAttempt(
        attempt=attempt.attempt,
        ending=attempt.ending,
        node=attempt.node,
        started=from_micros(attempt.started_at),
        ended=from_micros(attempt.ended_at),
        error=_error(attempt.error, attempt.message),
        traceback=attempt.traceback,
        fingerprint=attempt.fingerprint,
    )


def _error(kind: str, message: str) -> str | None:
    return f"{kind}: {message}" if kind else None


def _args(text: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return _decode(masked(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
