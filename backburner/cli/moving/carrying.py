"""Jobs and schedules carried from one store into another, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backburner.backends.keys import held_key
from backburner.cli.moving.choosing import chosen, without_key
from backburner.cli.moving.schedules import carry_schedules, foresee_schedules, verify_schedules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backburner.model.job import JobImage
    from backburner.ports.backend import Backend

__all__ = ["Outcome", "carry", "foresee", "verify"]


@dataclass(slots=True)
class Outcome:
    """What was carried, or would be."""

    #: How many jobs are carried, by the state in which they arrive, and kind.
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    #: How many of them were stored, and how many had been there before.
    stored: int = 0
    known: int = 0
    #: How many of those stored share their key with another that is carried, and wait for it or hold it no more.
    parked: int = 0
    #: Jobs left behind: each with the job of the target, unknown to the source, that holds its key.
    conflicts: dict[str, str] = field(default_factory=dict[str, str])
    #: Jobs that should be in the target, and are not.
    missing: list[str] = field(default_factory=list[str])
    #: Queues whose settings were taken along.
    queues: list[str] = field(default_factory=list[str])
    #: How many schedules were stored, and how many had been there before, as they are.
    schedules: int = 0
    known_schedules: int = 0
    #: How many lines of their ledgers were stored.
    ticks: int = 0
    #: Schedules whose name another has in the target, which stays.
    left: list[str] = field(default_factory=list[str])
    #: Schedules that the target refused, each with the reason.
    refused: dict[str, str] = field(default_factory=dict[str, str])
    #: Schedules, and how many lines of their ledgers, that should be in the target, and are not.
    lost: list[str] = field(default_factory=list[str])
    lost_ticks: int = 0

    @property
    def whole(self) -> bool:
        """Whether every job that matters, and every schedule, is where it should be."""
        return not (self.conflicts or self.missing or self.refused or self.lost or self.lost_ticks)


async def carry(source: Backend, target: Backend, *, everything: bool, advance: Callable[[int], None]) -> Outcome:
    """Store what matters of one store in another, page by page; carried before, a job is left as it is."""
    outcome = Outcome()
    await _carry_queues(source, target, outcome)
    async for page in chosen(source.reader, everything=everything):
        if page.jobs:
            await _store(source, target, page.jobs, outcome)
        advance(page.looked_at)
    # After the jobs that they name.
    await carry_schedules(source, target, outcome)
    return outcome


async def verify(
    source: Backend, target: Backend, outcome: Outcome, *, everything: bool, advance: Callable[[int], None]
) -> None:
    """Look for everything in the target that should be there; write down what is missing."""
    async for page in chosen(source.reader, everything=everything):
        asked = [image.record.id for image in page.jobs]
        found = {job.id for job in (await target.reader.get(asked)).jobs} if asked else set[str]()
        outcome.missing += [job_id for job_id in asked if job_id not in found and job_id not in outcome.conflicts]
        advance(page.looked_at)
    await verify_schedules(source, target, outcome)


async def foresee(
    source: Backend, target: Backend | None, *, everything: bool, advance: Callable[[int], None]
) -> Outcome:
    """Say what would be carried into a store, None for one that is empty, without writing anything."""
    outcome = Outcome()
    holders = {} if target is None else await _holders(target)
    outcome.queues += [name async for name in _new_queues(source, target)]
    async for page in chosen(source.reader, everything=everything):
        ids = [image.record.id for image in page.jobs]
        known = set[str]() if target is None else {job.id for job in (await target.reader.get(ids)).jobs}
        held = {
            image.record.id: holder
            for image in page.jobs
            if image.record.id not in known and (holder := holders.get(held_key(image, page.now) or "")) is not None
        }
        _count(page.jobs, outcome)
        outcome.known += len(known)
        outcome.conflicts |= await _foreign(source, held)
        advance(page.looked_at)
    outcome.stored = outcome.counts.total() - outcome.known - len(outcome.conflicts)
    await foresee_schedules(source, target, outcome)
    return outcome


async def _store(source: Backend, target: Backend, images: tuple[JobImage, ...], outcome: Outcome) -> None:
    restored = await target.admin.restore(images)
    foreign = await _foreign(source, restored.holders)
    # Several jobs of one store may hold a key, such as one that is retried and one stored while it ran.
    shared = [without_key(image) for image in images if image.record.id in restored.holders.keys() - foreign]
    if shared:
        await target.admin.restore(shared)
    _count(images, outcome)
    outcome.stored += len(images) - len(restored.known) - len(foreign)
    outcome.known += len(restored.known)
    outcome.parked += len(shared)
    outcome.conflicts |= foreign


async def _foreign(source: Backend, holders: dict[str, str]) -> dict[str, str]:
    """Return those whose holder is no job of the source."""
    if not holders:
        return {}
    own = {job.id for job in (await source.reader.get(list(set(holders.values())))).jobs}
    return {job_id: holder for job_id, holder in holders.items() if holder not in own}


async def _holders(target: Backend) -> dict[str, str]:
    """Return who holds which key."""
    holders: dict[str, str] = {}
    after = None
    while True:
        page = await target.reader.export(limit=500, after=after)
        for image in page.jobs:
            key = held_key(image, page.now)
            if key is not None:
                holders.setdefault(key, image.record.id)
        if page.after is None:
            return holders
        after = page.after


async def _carry_queues(source: Backend, target: Backend, outcome: Outcome) -> None:
    """Take along what operators set for queues; what was set in the target before stays."""
    settings = {queue.name: queue for queue in await source.queues.list()}
    async for name in _new_queues(source, target):
        await target.queues.set(settings[name])
        outcome.queues.append(name)


async def _new_queues(source: Backend, target: Backend | None) -> AsyncIterator[str]:
    known = set[str]() if target is None else {queue.name for queue in await target.queues.list()}
    for queue in await source.queues.list():
        if queue.name not in known:
            yield queue.name


def _count(images: tuple[JobImage, ...], outcome: Outcome) -> None:
    outcome.counts.update((image.record.state.value, image.record.kind) for image in images)
