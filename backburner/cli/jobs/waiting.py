"""A reason that a job waits, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.times import ago, iso
from backburner.model.clock import instant

if TYPE_CHECKING:
    from backburner.jobs.reasons import Reason

__all__ = ["reason_json", "sentence"]


def sentence(reason: Reason, now: int) -> str:
    """Write a reason in a line, with how far off its end is."""
    return str(reason) if reason.until is None else f"{reason} ({ago(instant(reason.until), now)})"


def reason_json(reason: Reason) -> dict[str, object]:
    """Return a reason as `--json` writes it."""
    until = None if reason.until is None else iso(instant(reason.until))
    return {"code": reason.code, "text": reason.text, "until": until, "jobs": reason.jobs}
