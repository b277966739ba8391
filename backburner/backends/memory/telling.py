"""What becomes of jobs and nodes, told in the step that makes it so.

Whoever calls looks first at `EventLog.asked`, which is empty where nobody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState

if TYPE_CHECKING:
    from backburner.backends.memory.database import MemoryDatabase, Node
    from backburner.backends.memory.row import Row
    from backburner.model.job import Settlement

__all__ = ["tell", "tell_lost", "tell_settled"]

#: What a run that is to run again is told as, by its ending; every other is an interruption.
_AGAIN: Final = {
    None: "job.released",
    Ending.FAILED: "job.retry",
    Ending.SNOOZED: "job.snoozed",
    Ending.CRASHED: "job.crashed",
    Ending.MISFIT: "job.misfit",
}


def tell(
    database: MemoryDatabase, name: str, row: Row, now: int, attempt: int | None = None, **beside: str | float | None
) -> None:
    """Tell of a job, if this is asked for; nulls and empty texts are left out."""
    log, job = database.log, row.job
    if name not in log.asked:
        return
    data: dict[str, object] = {
        "kind": job.kind,
        "queue": job.queue,
        "attempt": row.attempt if attempt is None else attempt,
    }
    data |= {field: value for field, value in beside.items() if value is not None and value != ""}
    log.write(name, job.id, msgspec.json.encode(data).decode(), now)


def tell_settled(database: MemoryDatabase, row: Row, settlement: Settlement, attempt: int, now: int) -> None:
    """Tell what a settlement, which was applied, has made of a job; ``attempt`` is the run that it ended."""
    node, error, message, fingerprint = row.node, settlement.error, settlement.message, settlement.fingerprint
    delay = max(0, settlement.delay) / SECOND
    match row.state:
        case JobState.COMPLETED:
            tell(database, "job.completed", row, now, attempt, node=node)
        case JobState.CANCELLED:
            tell(database, "job.cancelled", row, now, attempt, node=node, reason=row.reason)
        case JobState.DEAD:
            failure = {"error": error, "message": message, "fingerprint": fingerprint}
            tell(database, "job.dead", row, now, attempt, node=node, reason=row.reason, **failure)
        case _:
            name = _AGAIN.get(settlement.ending, "job.interrupted")
            match name:
                case "job.retry":
                    failure = {"error": error, "message": message, "fingerprint": fingerprint}
                    tell(database, name, row, now, attempt, node=node, delay=delay, **failure)
                case "job.snoozed":
                    tell(database, name, row, now, attempt, node=node, message=message, delay=delay)
                case "job.released":
                    tell(database, name, row, now, attempt, node=node, delay=delay)
                case _:
                    tell(database, name, row, now, attempt, node=node, error=error, message=message)


def tell_lost(database: MemoryDatabase, node: Node, now: int) -> None:
    """Tell that a node died whose claims begin to be handed over, if this is asked for."""
    if "node.lost" in database.log.asked:
        data = msgspec.json.encode({"host": node.record.host}).decode()
        database.log.write("node.lost", node.record.id, data, now)
