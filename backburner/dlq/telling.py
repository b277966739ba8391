"""What is told of operations, in the step that begins, stops or ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.dlq.state import Phase
from backburner.model.telling import tell

if TYPE_CHECKING:
    from backburner.dlq.state import State
    from backburner.model.event import NewEvent
    from backburner.model.operation import OperationRecord

__all__ = ["begun", "ended", "stopped"]


def begun(operation: OperationRecord) -> NewEvent:
    """Tell that a person began it."""
    return tell(
        "operator.operation.begun", operation.id, by=operation.by, reason=operation.reason, action=operation.action
    )


def stopped(operation: OperationRecord, by: str | None) -> NewEvent:
    """Tell that a person stopped it."""
    return tell("operator.operation.stopped", operation.id, by=by, action=operation.action)


def ended(operation: OperationRecord, state: State) -> tuple[NewEvent, ...]:
    """Tell that it has ended; nothing where it has not."""
    if state.phase is not Phase.ENDED:
        return ()
    event = tell(
        "operation.ended",
        operation.id,
        action=operation.action,
        outcome=state.stopped or "done",
        done=operation.done,
        kept=operation.kept,
        missed=operation.missed,
    )
    return (event,)
