"""Names of queues and kinds that a person may have meant: a typing error must not pass for a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backburner.errors import UnknownLimit
from backburner.jobs.limits import near
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

__all__ = ["anyway_option", "check_kind", "check_queue"]

anyway_option = click.option("--anyway", is_flag=True, help="Also a name that no node knows and no job has, yet.")


async def check_queue(backend: Backend, name: str) -> None:
    """Raise `UnknownLimit`, with names that come near, unless a node, a setting or a job has a queue of this name."""
    known = {queue for node in await backend.nodes.find() for queue in node.queues}
    known.update(record.name for record in await backend.queues.list())
    await _check(backend, "queue", name, known, JobFilter(queues=(name,)))


async def check_kind(backend: Backend, name: str) -> None:
    """Raise `UnknownLimit`, with names that come near, unless a node, a pause or a job has a kind of this name."""
    known = {kind for node in await backend.nodes.find() for kind in node.kinds}
    known.update(record.name for record in await backend.kinds.list())
    await _check(backend, "kind", name, known, JobFilter(kinds=(name,)))


async def _check(backend: Backend, what: str, name: str, known: set[str], where: JobFilter) -> None:
    if name not in known and not (await backend.reader.find(where, limit=1)).jobs:
        raise UnknownLimit(f"there is no {what} {name!r} (--anyway takes it all the same){near(name, known)}")
