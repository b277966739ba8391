"""Operations: listed, looked up, stopped, carried to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.dlq.progress import progress_of
from backburner.dlq.state import Phase, read, written
from backburner.dlq.telling import ended, stopped
from backburner.errors import InvalidOption, OperationNotFound
from backburner.model.clock import pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.dlq.progress import Progress
    from backburner.dlq.replayer import Replayer
    from backburner.model.clock import Clock
    from backburner.model.operation import OperationRecord
    from backburner.ports.operations import OperationStore

__all__ = ["Replays"]

#: Seconds after which what others do is looked at, however long the next letter takes.
_LOOK: Final = 1.0


class Replays:
    """What was begun, by whom and why, and how far it has come; kept as long as dead letters are."""

    def __init__(self, operations: OperationStore, replayer: Replayer, clock: Clock) -> None:
        self._operations = operations
        self._replayer = replayer
        self._clock = clock

    async def list(
        self, *, active: bool | None = None, limit: int = 100, after: str | None = None
    ) -> tuple[Progress, ...]:
        """Return operations, newest first, those below the id ``after``: all, or those with or without something left to do."""
        page = await self._operations.find(active=active, limit=limit, after=after)
        return tuple(progress_of(operation, page.now) for operation in page.operations)

    async def get(self, operation_id: str) -> Progress:
        """Return how far one has come; raises `OperationNotFound`."""
        operation, now = await self._read(operation_id)
        return progress_of(operation, now)

    async def stop(self, operation_id: str, *, by: str | None = None) -> Progress:
        """Stop one for good: what was done stays done, the rest stays dead. One that has ended is left as it is.

        Raises `OperationNotFound`, and `InvalidOption` for one that another version of this code has to stop.
        """
        while True:
            operation, now = await self._read(operation_id)
            if not operation.active:
                return progress_of(operation, now)
            state = read(operation.state)
            if state is None:
                raise InvalidOption(
                    f"{operation.action} {operation_id} was begun by another version of backburner: stop it with that one",
                    option="id",
                )
            after = msgspec.structs.replace(state, phase=Phase.ENDED, stopped=f"stopped by {by}" if by else "stopped")
            over = msgspec.structs.replace(operation, state=written(after), active=False)
            if await self._operations.swap(over, (stopped(operation, by), *ended(operation, after))):
                return await self.get(operation_id)

    async def carry(
        self, operation_id: str, seen: Callable[[Progress], None] | None = None, *, watch: bool = False
    ) -> Progress:
        """Drive one here until no letter is left, beside whoever else does; with ``watch``, until first attempts are known.

        ``seen`` hears how far it has come after each step. Cancelled, or killed, it is carried on by nodes.
        Raises `OperationNotFound` and `StoreError`.
        """
        wait: float | None = None
        while True:
            operation, now = await self._read(operation_id)
            progress = progress_of(operation, now)
            if seen is not None:
                seen(progress)
            if not progress.active or (progress.over and not watch):
                return progress
            if wait:
                # What the last step did has been seen; others may do the next meanwhile.
                await pause(self._clock, min(wait, _LOOK))
                wait = None
            else:
                wait = await self._replayer.advance(operation, now)

    async def _read(self, operation_id: str) -> tuple[OperationRecord, int]:
        page = await self._operations.get((operation_id,))
        if not page.operations:
            raise OperationNotFound(
                f"there is no replay or purge {operation_id}; ended ones are kept as long as dead letters are"
            )
        return page.operations[0], page.now
