"""Replays, purges and imports, as an app holds and sees them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - frameworks read what a status is made of
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TYPE_CHECKING

from backburner.dlq.choice import Choice, choice_of
from backburner.dlq.state import Phase  # noqa: TC001 - frameworks read what a status is made of
from backburner.model.clock import from_micros
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from backburner.dlq.progress import Progress
    from backburner.dlq.replays import Replays

__all__ = ["OperationHandle", "OperationStatus", "Operations", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatus:
    """How far a replay, a purge or an import had come when it was read. Moments are aware, in UTC."""

    id: str
    #: ``replay``, ``purge`` or ``import``.
    action: str
    #: None: another version of backburner began it, and carries it on.
    phase: Phase | None
    #: Something is left to do.
    active: bool
    #: No letter is left to be looked at; first attempts may still be watched.
    over: bool
    #: It is over, and every letter that was meant is done.
    whole: bool
    #: How many letters were meant.
    found: int
    #: Replayed, purged or stored.
    done: int
    #: Stayed dead: another job holds their unique key (or, of a purge, needs them).
    kept: int
    #: Were not dead any more when it was their turn; of an import, were in the store before.
    missed: int
    #: Stayed dead: they could not go back as asked, such as with arguments that do not fit.
    refused: int
    #: Stayed dead so far: somebody's open transaction has them locked, or what is set needs a node to check it.
    busy: int
    #: Letters of which some dead children stayed dead, since there are too many to go with them.
    cut: int
    #: First attempts after the replay, of a sample: ended well, failed again, not ended.
    ok: int
    failed: int
    awaited: int
    #: Why it ended before its time; None where it did not.
    stopped: str | None
    #: The first few that were kept, each with the id of the job in the way; and that were refused, each with the reason.
    conflicts: Mapping[str, str]
    refusals: Mapping[str, str]
    #: Which letters it means: the keywords it was begun with, or ids.
    choice: Choice
    ids: tuple[str, ...]
    #: Such as ``10/second``; None is as fast as it goes.
    pace: str | None
    by: str | None
    reason: str | None
    began: datetime
    changed: datetime


class OperationHandle:
    """A replay or a purge that was begun. Awaiting it gives its `OperationStatus` once no letter is left.

    Whoever awaits it carries it on, beside all nodes that do, and it ends without anybody waiting. Cancelling or timing out
    the waiter leaves it to the nodes; only `Operations.stop` stops it. Awaiting raises `StoreError`, which changes nothing
    for the operation, and may be repeated.
    """

    __slots__ = ("_replays", "found", "id")

    def __init__(self, begun: Progress, replays: Replays) -> None:
        self._replays = replays
        #: For `Operations`, in any process.
        self.id = begun.id
        #: How many letters are meant.
        self.found = begun.found

    def __repr__(self) -> str:
        return f"<handle of operation {self.id} on {self.found:,} dead letters>"

    def __await__(self) -> Generator[object, None, OperationStatus]:
        """Carry it on until no letter is left."""
        return status_of((yield from self._replays.carry(self.id).__await__()))


class Operations:
    """Replays, purges and imports: what was begun, by whom and why, and how far it has come.

    Kept as long as dead letters are. All methods raise `StoreError`.
    """

    def __init__(self, replays: Replays) -> None:
        self._replays = replays

    async def list(
        self, *, active: bool | None = None, limit: int = 100, after: str | None = None
    ) -> tuple[OperationStatus, ...]:
        """Return them newest first, those below the id ``after``: all, or those with or without something left to do."""
        return tuple(map(status_of, await self._replays.list(active=active, limit=limit, after=after)))

    async def get(self, operation_id: str) -> OperationStatus:
        """Return how far one has come; raises `OperationNotFound`."""
        return status_of(await self._replays.get(operation_id))

    async def stop(self, operation_id: str, *, by: str | None = None) -> OperationStatus:
        """Stop one for good: what was done stays done, the rest stays dead. One that has ended is left as it is.

        Raises `OperationNotFound`, and `InvalidOption` for one that another version of backburner has to stop.
        """
        return status_of(await self._replays.stop(operation_id, by=by))

    async def carry(
        self, operation_id: str, seen: Callable[[OperationStatus], None] | None = None, *, watch: bool = False
    ) -> OperationStatus:
        """Carry one on, beside all nodes that do, until no letter is left; with ``watch``, until first attempts are known.

        Those are watched for ten minutes at most. ``seen`` hears how far it has come after each step. Cancelled, nodes carry
        it on. Raises `OperationNotFound`.
        """

        def heard(progress: Progress) -> None:
            if seen is not None:
                seen(status_of(progress))

        return status_of(await self._replays.carry(operation_id, heard, watch=watch))


def status_of(progress: Progress) -> OperationStatus:
    """Show an operation."""
    return OperationStatus(
        id=progress.id,
        action=progress.action,
        phase=progress.phase,
        active=progress.active,
        over=progress.over,
        whole=progress.whole,
        found=progress.found,
        done=progress.done,
        kept=progress.kept,
        missed=progress.missed,
        refused=progress.refused,
        busy=progress.busy,
        cut=progress.cut,
        ok=progress.ok,
        failed=progress.failed,
        awaited=progress.awaited,
        stopped=progress.stopped or None,
        conflicts=progress.conflicts,
        refusals={refusal.id: refusal.why for refusal in progress.refusals},
        choice=choice_of(progress.where),
        ids=progress.ids,
        pace=None if progress.pace is None else rate_text(progress.pace),
        by=progress.by,
        reason=progress.reason,
        began=from_micros(progress.created_at),
        changed=from_micros(progress.changed_at),
    )
