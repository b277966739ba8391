"""`backburner move`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.moving.carrying import Outcome, carry, foresee, verify
from backburner.cli.render import Mode, json_option, mode, note, one, progress
from backburner.cli.store import connected, given, opened, unopened
from backburner.errors import StoreMissing
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.ports.backend import Backend

__all__ = ["command"]

#: Ids that a line for a person names.
_NAMED = 3


@click.command("move")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("--all", "everything", is_flag=True, help="Carry every ended job too.")
@click.option("--dry-run", is_flag=True, help="Only count what would be carried, and what could not be.")
@click.option("--force", is_flag=True, help="Even while nodes run jobs of the source.")
@json_option
def command(*, source: str, target: str, everything: bool, dry_run: bool, force: bool, as_json: bool) -> None:
    """Carry the jobs and schedules of one store into another, such as sqlite:///jobs.db into postgresql://….

    Stop your app, move, change its URL, start it. What waits is carried with its history, place in line and unique
    key; so is what ran, as given back, what is dead, and what ended and still matters: it holds a unique key, or its
    parent may look for it. --all carries everything that ended. Schedules come along with what their ledgers tell; one
    whose name the target has stays behind, and is told of. Events, and who asks for them, stay behind: the target keeps
    a log of its own. The source is read, never changed; the target's schema is made or upgraded. Interrupted, run it
    again: what is there already is left as it is. A URL of - is read from stdin.

    Exits with 1 if a job is missing in the end, or another job of the target holds its unique key.
    """
    asyncio.run(_move(source, target, mode(as_json=as_json), everything=everything, dry_run=dry_run, force=force))


async def _move(
    source_url: str | None, target_url: str | None, how: Mode, *, everything: bool, dry_run: bool, force: bool
) -> None:
    source_url, target_url = given(source_url), given(target_url)
    if unopened(source_url).address == unopened(target_url).address:
        raise Failed(f"{unopened(source_url).address} is both source and target", Exit.REFUSED)
    async with opened(source_url, exact=True) as source:
        if not force:
            await _refuse_nodes(source)
        if dry_run:
            outcome = await _foresee(source, target_url, everything=everything)
        else:
            async with connected(target_url, create=True, write=True) as target:
                await target.schema.upgrade()
                outcome = await _carry(source, target, everything=everything)
        addresses = (source.address, unopened(target_url).address)
    _tell(outcome, addresses, how, dry_run=dry_run)
    if not outcome.whole:
        raise click.exceptions.Exit(Exit.PARTLY)


async def _refuse_nodes(source: Backend) -> None:
    alive = [node.id for node in await source.nodes.find() if node.alive]
    if alive:
        some = ", ".join(alive[:_NAMED]) + (" …" if len(alive) > _NAMED else "")
        raise Failed(
            f"{source.address} is in use by {some}: stop what runs there first, so that no job runs twice; "
            "--force moves all the same",
            Exit.REFUSED,
        )


async def _carry(source: Backend, target: Backend, *, everything: bool) -> Outcome:
    total = sum((await source.reader.count(JobFilter())).values())
    # Everything is looked at twice.
    with progress(2 * total) as advance:
        outcome = await carry(source, target, everything=everything, advance=advance)
        await verify(source, target, outcome, everything=everything, advance=advance)
    return outcome


async def _foresee(source: Backend, target_url: str | None, *, everything: bool) -> Outcome:
    total = sum((await source.reader.count(JobFilter())).values())
    async with AsyncExitStack() as stack:
        target = await _target(target_url, stack)
        with progress(total) as advance:
            return await foresee(source, target, everything=everything, advance=advance)


async def _target(url: str | None, stack: AsyncExitStack) -> Backend | None:
    """Open the target for reading; None where there is nothing to read yet."""
    try:
        target = await stack.enter_async_context(connected(url))
    except StoreMissing:
        note(f"{unopened(url).address} would be made")
        return None
    state = await target.schema.state()
    if not state.pending:
        return target
    note(f"{target.address}: schema {state.current} would become {state.wanted}")
    if state.current:
        note("which of its jobs hold unique keys cannot be told before")
    return None


def _tell(outcome: Outcome, addresses: tuple[str, str], how: Mode, *, dry_run: bool) -> None:
    source, target = addresses
    counts = sorted(outcome.counts.items())
    value = {
        "source": source,
        "target": target,
        "dry_run": dry_run,
        "jobs": [{"state": state, "kind": kind, "count": count} for (state, kind), count in counts],
        "stored": outcome.stored,
        "known": outcome.known,
        "parked": outcome.parked,
        "queues": outcome.queues,
        "conflicts": outcome.conflicts,
        "missing": outcome.missing,
        "schedules": {
            "stored": outcome.schedules,
            "known": outcome.known_schedules,
            "left": outcome.left,
            "refused": outcome.refused,
            "missing": outcome.lost,
        },
        "ticks": {"stored": outcome.ticks, "missing": outcome.lost_ticks},
    }
    fields: list[tuple[str, ...]] = [
        *((state, kind, str(count)) for (state, kind), count in counts),
        ("stored", str(outcome.stored)),
        ("known", str(outcome.known)),
        ("parked", str(outcome.parked)),
        *(("queue", name) for name in outcome.queues),
        *(("conflict", job_id, holder) for job_id, holder in outcome.conflicts.items()),
        *(("missing", job_id) for job_id in outcome.missing),
        *_schedules(outcome),
    ]
    one(how, value, fields)
    total = outcome.counts.total()
    if dry_run:
        note(f"{_counted(total, outcome)} would be carried from {source} to {target}; nothing was written")
    elif outcome.whole:
        note(f"{target} has all {_counted(total, outcome)}; {source} is as it was: change the app's URL, then start it")
    if outcome.conflicts:
        note(
            f"{len(outcome.conflicts):,} jobs {'would stay' if dry_run else 'stayed'} behind: other jobs of {target} hold "
            "their unique keys; cancel one of each two, and move again"
        )
    if outcome.missing:
        note(
            f"{len(outcome.missing):,} of {total:,} jobs are not in {target}: they were stored in the source meanwhile, or "
            "deleted in the target; make sure that nothing runs on either, and move again"
        )
    if outcome.left:
        note(
            f"{len(outcome.left):,} schedules {'would stay' if dry_run else 'stayed'} behind: {target} has others of "
            "their names, which are as they were"
        )
    if outcome.lost or outcome.lost_ticks:
        note(f"schedules or ticks are not in {target}: make sure that nothing runs on either, and move again")


def _schedules(outcome: Outcome) -> list[tuple[str, ...]]:
    """Write what became of schedules; nothing of what there is none of."""
    counts = {
        "schedules": outcome.schedules,
        "schedules known": outcome.known_schedules,
        "ticks": outcome.ticks,
        "ticks missing": outcome.lost_ticks,
    }
    return [
        *((name, str(count)) for name, count in counts.items() if count),
        *(("schedule left", name) for name in outcome.left),
        *(("schedule refused", name, why) for name, why in outcome.refused.items()),
        *(("schedule missing", name) for name in outcome.lost),
    ]


def _counted(jobs: int, outcome: Outcome) -> str:
    schedules = outcome.schedules + outcome.known_schedules
    return f"{jobs:,} jobs and {schedules:,} schedules" if schedules else f"{jobs:,} jobs"
