"""The job of a schedule, for people and for programs, and what it waits for once it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.cli.render import note
from backburner.codec.marks import masked
from backburner.jobs.standing import Standing

if TYPE_CHECKING:
    from backburner.cli.schedules.desk import Desk
    from backburner.cli.schedules.record import Row
    from backburner.model.schedule import ScheduleRecord

__all__ = ["job_json", "standing_of", "warn"]


def standing_of(record: ScheduleRecord) -> Standing | None:
    """Return the job that is stored with a schedule; None where other code wrote it."""
    try:
        return msgspec.json.decode(record.job, type=Standing)
    except msgspec.MsgspecError:
        return None


def job_json(standing: Standing | None) -> dict[str, object] | None:
    """Return it as `--json` writes it."""
    if standing is None:
        return None
    job = standing.job
    return {
        "kind": job.kind,
        "args": msgspec.Raw(masked(job.args).encode()),
        "queue": job.queue,
        "priority": job.priority,
        "tags": job.tags,
        "unique": None if job.unique is None else job.unique.key,
        "said": standing.said,
    }


async def warn(opened: Desk, row: Row) -> None:
    """Tell a person where no living node takes the jobs that this command stores: of their kind, or from their queue."""
    record = row.record
    standing = standing_of(record)
    if not row.known:
        note(f"no living node knows {record.kind}: what is stored waits for one that does")
        return
    queues = {
        queue
        for node in await opened.backend.nodes.find()
        if node.alive and not node.draining and record.kind in node.kinds
        for queue in node.queues
    }
    if standing is None:
        return
    queue = standing.job.queue
    if "queue" not in standing.said:
        queue = opened.homes.get(record.kind, queue)
    if queue not in queues:
        note(f"no living node that knows {record.kind} takes jobs of queue {queue}, where it is stored")
