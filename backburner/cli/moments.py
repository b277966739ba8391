"""Moments that options name, as instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.render import note
from backburner.cli.times import Moment, iso, moment

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["ahead", "named", "past"]


def named(text: str) -> Moment:
    """Read a moment that is no duration ago: ``09:00``, ``2026-11-21``, ``2026-11-21T03:04Z``; raises `ValueError`."""
    found = moment(text)
    if isinstance(found.means, int):
        raise ValueError(f"{text!r} is a duration; write a moment: 09:00, 2026-11-21 or 2026-11-21T03:04Z")  # noqa: TRY004 - what click is told by
    return found


def past(option: str, given: Moment, now: int, zone: tzinfo | None = None) -> int:
    """Return the instant that is meant, of a time of day its latest passing; said to a person where that was vague."""
    return _said(option, given, given.at(now, zone))


def ahead(option: str, given: Moment, now: int, zone: tzinfo | None = None) -> int:
    """Return the instant that is meant, of a time of day its next passing; said to a person where that was vague."""
    return _said(option, given, given.next(now, zone))


def _said(option: str, given: Moment, instant: int) -> int:
    if given.spoken:
        note(f"--{option} {given.text} is {iso(instant)}")
    return instant
