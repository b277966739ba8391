"""Which letters a command means: ids, or a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.lookup import look_up
from backburner.cli.jobs.record import state_of
from backburner.cli.render import note
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.filters import Filters
    from backburner.model.query import JobFilter
    from backburner.ports.jobs import JobReader

__all__ = ["Meaning", "check_meaning", "meaning"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A filter, or ids; and how many of the letters at most."""

    where: JobFilter | None
    ids: tuple[str, ...]
    limit: int | None
    #: Ids that were given and are no dead letters.
    amiss: int


def check_meaning(ids: Sequence[str], filters: Filters, *, everything: bool) -> None:
    """Refuse an order that does not say, or says twice, which letters it means."""
    if bool(ids) + filters.given + everything != 1:
        raise click.UsageError(
            "say which letters: ids, a filter such as --kind or --fingerprint, or --all; one of them"
        )
    if ids and filters.limit is not None:
        raise click.UsageError("--limit belongs to a filter: ids say how many")


async def meaning(reader: JobReader, ids: Sequence[str], filters: Filters) -> Meaning:
    """Return what is meant; ids that are none of a dead letter are told of, and if there are no others the command ends."""
    if not ids:
        return Meaning(await filters.resolve(reader), (), filters.limit, 0)
    found: list[str] = []
    for given in ids:
        page = await look_up(reader, given)
        if not page.jobs:
            note(f"there is no job {given}")
        elif page.jobs[0].state is not JobState.DEAD:
            note(f"{page.jobs[0].id} is {state_of(page.jobs[0], page.now)}, and no dead letter")
        else:
            found.append(page.jobs[0].id)
    if not found:
        raise Failed("no dead letter matches", Exit.NOTHING)
    return Meaning(None, tuple(found), None, len(ids) - len(found))
