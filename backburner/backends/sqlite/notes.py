"""What runs tell of themselves, on its way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.freeing import lend
from backburner.backends.sqlite.statements import load
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import Settlement

__all__ = ["write_notes"]

_NOTE = load("note")


class _Note(msgspec.Struct, array_like=True, gc=False):
    """All that one claim tells in one write: the order its statement expects."""

    id: str
    token: int
    progress: tuple[int, int | None] | None = None
    checkpoint: str | None = None
    lent: bool | None = None


def write_notes(
    settlements: Sequence[Settlement], node: str, now: int, *, joined: bool
) -> Steps[tuple[bool, set[str]]]:
    """Write notes down, before any end is; tell whether each found its claim, and which lanes open for it."""
    notes: dict[tuple[str, int], _Note] = {}
    ended: set[tuple[str, int]] = set()
    for each in settlements:
        claim = (each.id, each.token)
        # What is told after the end in the same write comes too late.
        if claim in ended:
            continue
        running = each.state is JobState.RUNNING
        if running or each.progress is not None or each.checkpoint is not None:
            note = notes.setdefault(claim, _Note(*claim))
            note.progress = each.progress or note.progress
            note.checkpoint = note.checkpoint if each.checkpoint is None else each.checkpoint
            note.lent = each.lent if running and each.lent is not None else note.lent
        if not running:
            ended.add(claim)
    if not notes:
        return True, set()
    lent = [(note.id, note.token, note.lent) for note in notes.values() if note.lent is not None]
    opened = (yield from lend(lent, node, now, joined=joined)) if lent else set[str]()
    changed: int = yield _NOTE, {"notes": to_json([*notes.values()]), "node": node}
    return changed == len(notes), opened
