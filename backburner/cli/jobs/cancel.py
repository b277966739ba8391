"""`backburner jobs cancel`."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from backburner.cli.asking import confirm
from backburner.cli.exits import Exit, Failed
from backburner.cli.filters import Filters, filter_options, pages
from backburner.cli.jobs.lookup import look_up
from backburner.cli.jobs.record import state_of
from backburner.cli.outcomes import OUTCOMES
from backburner.cli.render import Mode, counted, json_option, listing, mode, note, one, progress
from backburner.cli.store import opened, url_option
from backburner.model.query import Shown
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.cli.outcomes import Outcome
    from backburner.ports.backend import Notifier
    from backburner.ports.jobs import JobAdmin, JobReader, Page

__all__ = ["command"]

#: Jobs a write.
_BATCH = 500
#: The states that have an end to be cancelled.
_LIVE = (Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING, Shown.RUNNING)


@click.command("cancel")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options(limit=None, states=True)
@click.option("--dry-run", is_flag=True, help="Only count what would be cancelled.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@url_option
def command(
    *, ids: tuple[str, ...], filters: Filters, dry_run: bool, yes: bool, as_json: bool, url: str | None
) -> None:
    """Cancel jobs: by ids (or the beginnings of ids), or by filter.

    Pending jobs are cancelled; running ones are asked to stop, which their nodes hear at once or with their next beat.
    A filter asks first, or needs --yes. Piped, a line is: id and outcome (cancelled, asked, ended, missing, busy: somebody's
    open transaction has it, so that nothing was changed).
    """
    if bool(ids) == filters.given:
        raise click.UsageError("name jobs by id, or by a filter such as --kind: one of the two")
    if not set(filters.state) <= set(_LIVE):
        raise click.UsageError("only waiting, scheduled, retrying and running jobs can be cancelled")
    asyncio.run(_cancel(ids, filters, mode(as_json=as_json), url, dry_run=dry_run, ask=not (ids or yes)))


@dataclass(slots=True)
class _Chosen:
    """The jobs meant, with their states."""

    states: dict[str, Shown] = field(default_factory=dict[str, Shown])
    missing: list[str] = field(default_factory=list[str])

    def add(self, page: Page) -> None:
        self.states.update((job.id, state_of(job, page.now)) for job in page.jobs)

    def counts(self) -> Counter[str]:
        return Counter(state.value for state in self.states.values())


async def _cancel(
    ids: Sequence[str], filters: Filters, how: Mode, url: str | None, *, dry_run: bool, ask: bool
) -> None:
    async with opened(url, write=not dry_run) as backend:
        chosen = await (_by_id(backend.reader, ids) if ids else _by_filter(backend.reader, filters))
        for given in chosen.missing:
            note(f"there is no job {given}")
        counts = chosen.counts()
        if not counts:
            raise Failed("no job matches", Exit.NOTHING)
        if dry_run:
            one(how, counts, [(state, str(count)) for state, count in counts.items()])
            return
        if ask:
            confirm(f"{counted(counts)} match", "cancel", "cancelled")
        outcomes = await _carry_out(backend.admin, list(chosen.states), how)
        await _tell_nodes(backend.notifier, outcomes)
    note(counted(outcomes))
    if chosen.missing or outcomes["ended"] or outcomes["missing"] or outcomes["busy"]:
        raise click.exceptions.Exit(Exit.PARTLY)


async def _by_id(reader: JobReader, ids: Sequence[str]) -> _Chosen:
    chosen = _Chosen()
    for given in ids:
        page = await look_up(reader, given)
        chosen.add(page)
        if not page.jobs:
            chosen.missing.append(given)
    return chosen


async def _by_filter(reader: JobReader, filters: Filters) -> _Chosen:
    """Gather first: what was counted and confirmed is what is cancelled, whatever is stored meanwhile."""
    where = await dataclasses.replace(filters, state=filters.state or _LIVE).resolve(reader)
    chosen = _Chosen()
    async for page in pages(reader, where, filters.limit):
        chosen.add(page)
    return chosen


async def _carry_out(admin: JobAdmin, ids: Sequence[str], how: Mode) -> Counter[str]:
    """Cancel in batches, telling each job's outcome; return how many had which."""
    outcomes = Counter[str]()

    async def batches() -> AsyncIterator[Sequence[Outcome]]:
        with progress(len(ids)) as advance:
            for start in range(0, len(ids), _BATCH):
                answer = await _cancel_batch(admin, ids[start : start + _BATCH])
                outcomes.update(outcome for _, outcome in answer)
                advance(len(answer))
                # A person needs the count of what went well, and the names of the rest.
                yield [told for told in answer if how is not Mode.TABLE or told[1] != "cancelled"]

    await listing(how, batches(), OUTCOMES)
    return outcomes


async def _tell_nodes(notifier: Notifier, outcomes: Counter[str]) -> None:
    if outcomes["asked"]:
        await notifier.notify(Hint.CONTROL)
    if outcomes["cancelled"]:
        # A unique key that one of them held may have let another into the line.
        await notifier.notify(Hint.JOBS)


async def _cancel_batch(admin: JobAdmin, ids: Sequence[str]) -> list[Outcome]:
    answer = await admin.cancel(ids)
    by_outcome = {
        "cancelled": answer.cancelled,
        "asked": answer.asked,
        "ended": answer.ended,
        "missing": answer.missing,
        "busy": answer.busy,
    }
    return [(job_id, outcome) for outcome, answered in by_outcome.items() for job_id in answered]
