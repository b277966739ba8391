"""What became of an operation so far, as people are shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.dlq.state import IMPORT, Phase, Refusal, State, read
from backburner.model.lane import Rate
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.model.operation import OperationRecord

__all__ = ["Progress", "progress_of"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A replay, a purge or an import, seen at ``now``; instants are microseconds since 1970 UTC."""

    id: str
    #: ``replay``, ``purge`` or ``import``.
    action: str
    #: None: another version of this code wrote it, and carries it on.
    phase: Phase | None
    #: Something is left to do.
    active: bool
    #: How many letters were meant.
    found: int
    #: Replayed, purged or stored.
    done: int
    #: Stayed dead: another job holds their unique key (or, of a purge, needs them).
    kept: int
    #: Were not dead any more when it was their turn; of an import, were in the store before.
    missed: int
    #: Stayed dead: their arguments could not be patched.
    refused: int
    #: Stayed dead so far: somebody's open transaction has them locked, or what is set needs a node to check it.
    busy: int
    #: Letters of which some dead children stayed dead, since there are too many to go with them.
    cut: int
    #: First attempts after the replay, of those that were watched: ended well, failed again, not ended.
    ok: int
    failed: int
    awaited: int
    #: Why it ended before its time; empty otherwise.
    stopped: str
    #: The first few that were kept, each with the job that is in the way; and that were refused, and why.
    conflicts: dict[str, str]
    refusals: tuple[Refusal, ...]
    where: JobFilter
    ids: tuple[str, ...]
    pace: Rate | None
    by: str | None
    reason: str | None
    created_at: int
    changed_at: int
    now: int

    @property
    def over(self) -> bool:
        """Whether no letter is left to be looked at; first attempts may still be watched."""
        return not self.active or self.phase is Phase.WATCHING

    @property
    def whole(self) -> bool:
        """Whether every letter that was meant is done."""
        if self.done < self.found:
            # Whatever became of the others: a driver may have died before it wrote that they were locked.
            return False
        return self.over and not (self.kept or self.missed or self.refused or self.busy or self.cut or self.stopped)


_NOTHING = State(where=JobFilter(), found=0)


def progress_of(operation: OperationRecord, now: int) -> Progress:
    """Return how far an operation has come."""
    known = read(operation.state)
    state = known or _NOTHING
    # The store counts what it replays and purges.
    imported = operation.action == IMPORT
    return Progress(
        id=operation.id,
        action=operation.action,
        phase=None if known is None else state.phase,
        active=operation.active,
        found=state.found,
        done=state.stored if imported else operation.done,
        kept=state.found - state.stored - state.known if imported else operation.kept,
        missed=state.known if imported else operation.missed,
        refused=state.refused,
        busy=len(state.busy),
        cut=state.cut,
        ok=state.ok,
        failed=state.failed,
        awaited=len(state.watched),
        stopped=state.stopped,
        conflicts=state.conflicts,
        refusals=state.refusals,
        where=state.where,
        ids=state.ids,
        pace=state.pace,
        by=operation.by,
        reason=operation.reason,
        created_at=operation.created_at,
        changed_at=operation.changed_at,
        now=now,
    )
