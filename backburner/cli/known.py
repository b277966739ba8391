"""Names of queues and kinds that a person may have meant: a typing error must not pass for a pause, nor for good news."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.names import kind_names, queue_names
from backburner.errors import UnknownLimit
from backburner.jobs.limits import near
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.cli.filters import Filters
    from backburner.ports.backend import Backend

__all__ = ["anyway_option", "check_kind", "check_queue", "none_matches"]

anyway_option = click.option("--anyway", is_flag=True, help="Also a name that no node knows and no job has, yet.")


async def check_queue(backend: Backend, name: str) -> None:
    """Raise `UnknownLimit`, with names that come near, unless a node, a setting or a job has a queue of this name."""
    await _check(backend, "queue", name, await queue_names(backend), JobFilter(queues=(name,)))


async def check_kind(backend: Backend, name: str) -> None:
    """Raise `UnknownLimit`, with names that come near, unless a node, a pause or a job has a kind of this name."""
    await _check(backend, "kind", name, await kind_names(backend), JobFilter(kinds=(name,)))


async def none_matches(backend: Backend, filters: Filters, what: str) -> Failed:
    """Return the error of a filter that nothing matches, with what its kinds and queues may have been meant for."""
    odd: list[str] = []
    if filters.kind:
        known = await kind_names(backend)
        odd += [f"no kind {name!r} is known{near(name, known)}" for name in filters.kind if name not in known]
    if filters.queue:
        known = await queue_names(backend)
        odd += [f"no queue {name!r} is known{near(name, known)}" for name in filters.queue if name not in known]
    return Failed("; ".join((f"no {what} matches", *odd)), Exit.NOTHING)


async def _check(backend: Backend, what: str, name: str, known: set[str], where: JobFilter) -> None:
    if name not in known and not (await backend.reader.find(where, limit=1)).jobs:
        raise UnknownLimit(f"there is no {what} {name!r} (--anyway takes it all the same){near(name, known)}")
