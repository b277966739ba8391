"""The attempts of a job that did not complete, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from backburner.cli.jobs.record import error_line
from backburner.cli.render import safe
from backburner.cli.tables import rows_table
from backburner.cli.times import iso
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from backburner.model.job import Attempt

__all__ = ["attempt_json", "attempt_line", "attempts_text"]

_TITLES = ("TRY", "ENDING", "ENDED", "TOOK", "NODE", "ERROR")


def attempts_text(history: Sequence[Attempt], *, every: bool) -> Sequence[RenderableType]:
    """Write them for a person: several as a table and the last one in full, for they tend to be alike; or each in full."""
    if every or len(history) <= 1:
        return [_full(attempt) for attempt in history]
    return [Text(), rows_table(_TITLES, map(_cells, history)), _full(history[-1])]


def attempt_line(attempt: Attempt) -> tuple[str, ...]:
    """Return the fields of one in a pipe."""
    return (
        str(attempt.attempt),
        attempt.ending,
        iso(attempt.started_at),
        iso(attempt.ended_at),
        attempt.node,
        error_line(attempt.error, attempt.message),
    )


def attempt_json(attempt: Attempt) -> dict[str, object]:
    """Return one as `--json` writes it."""
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


def _cells(attempt: Attempt) -> tuple[str, ...]:
    error = error_line(attempt.error, attempt.message)
    return (str(attempt.attempt), attempt.ending, iso(attempt.ended_at), _took(attempt), attempt.node, error)


def _full(attempt: Attempt) -> Text:
    head = (
        f"\nattempt {attempt.attempt} {attempt.ending} {iso(attempt.ended_at)} after {_took(attempt)} on {attempt.node}"
    )
    text = Text(head, style="bold")
    error = error_line(attempt.error, attempt.message)
    if error:
        text.append(f"\n  {safe(error)}", style="not bold red")
    if attempt.traceback:
        lines = (f"\n  {safe(line)}" for line in attempt.traceback.splitlines())
        text.append("".join(lines), style="not bold dim")
    return text


def _took(attempt: Attempt) -> str:
    return about(attempt.ended_at - attempt.started_at)
