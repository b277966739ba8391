"""Which kinds and queues a store knows of, as far as nodes, operators and the newest jobs tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

__all__ = ["kind_names", "queue_names"]

#: So many of the newest jobs are looked at.
_READ = 200


async def kind_names(backend: Backend) -> set[str]:
    """Return the names of kinds."""
    nodes, paused = await backend.nodes.find(), await backend.kinds.list()
    newest = await backend.reader.find(JobFilter(), limit=_READ)
    declared = {kind for node in nodes for kind in node.kinds}
    return declared | {kind.name for kind in paused} | {job.kind for job in newest.jobs}


async def queue_names(backend: Backend) -> set[str]:
    """Return the names of queues."""
    nodes, changed = await backend.nodes.find(), await backend.queues.list()
    newest = await backend.reader.find(JobFilter(), limit=_READ)
    declared = {queue for node in nodes for queue in node.queues}
    return declared | {queue.name for queue in changed} | {job.queue for job in newest.jobs}
