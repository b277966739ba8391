"""One change made to many jobs: which are meant, whether that is what a person wants, and what became of each."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from backburner.cli.asking import confirm
from backburner.cli.exits import Exit
from backburner.cli.filters import Filters, filter_options, pages
from backburner.cli.hinting import hinting
from backburner.cli.jobs.lookup import look_up
from backburner.cli.jobs.record import state_of
from backburner.cli.known import none_matches
from backburner.cli.outcomes import OUTCOMES
from backburner.cli.render import Mode, counted, json_option, listing, mode, note, one, progress
from backburner.cli.store import opened, url_option
from backburner.cli.who import audit_options
from backburner.errors import StoreError
from backburner.model.telling import tell
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from backburner.cli.outcomes import Outcome
    from backburner.model.event import NewEvent
    from backburner.model.query import Shown
    from backburner.ports.backend import Hint
    from backburner.ports.jobs import JobAdmin, JobReader, Page

__all__ = ["Change", "change_command"]

#: Jobs a write.
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done to jobs."""

    #: "cancel" them, and what is said of one that is.
    verb: str
    done: str
    #: The states that a filter means by itself, and what is said to whoever names another.
    states: tuple[Shown, ...]
    others: str
    #: The event that tells of a write.
    event: str
    #: Carries it out, and answers ids by outcome.
    carry_out: Callable[[JobAdmin, Sequence[str], Sequence[NewEvent]], Awaitable[Mapping[str, Sequence[str]]]]
    #: Outcomes that leave nothing to be wished for; of these a person at a terminal is told the number alone.
    fine: frozenset[str]
    #: What the nodes are to be told, by outcome.
    hints: Mapping[str, Hint]
    #: What to do about an outcome: a sentence in which ``{job}`` stands for one of the jobs.
    mends: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self, *, ids: tuple[str, ...], filters: Filters, yes: bool, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click hands over what options hold
        """Make the change, with what the options of `change_command` say."""
        if bool(ids) == filters.given:
            raise click.UsageError("name jobs by id, or by a filter such as --kind: one of the two")
        if ids and filters.limit is not None:
            raise click.UsageError("--limit belongs to a filter: ids say how many")
        if not set(filters.state) <= set(self.states):
            raise click.UsageError(self.others)
        asyncio.run(_Making(self, mode(as_json=as_json), **given).run(ids, filters, ask=not (ids or yes)))


def change_command(name: str, change: Change, text: str) -> click.Command:
    """Return the command that makes a change: its options say which jobs are meant, and who asks."""
    options = (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        filter_options(limit=None, states=True),
        click.option("--dry-run", is_flag=True, help=f"Only count what would be {change.done}."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        audit_options,
        json_option,
        url_option,
    )

    def run(**given: Any) -> None:  # noqa: ANN401 - click hands over what options hold
        change.run(**given)

    for option in reversed(options):
        run = option(run)
    return click.command(name, help=text)(run)


@dataclass(slots=True)
class _Chosen:
    """The jobs meant, with their states."""

    states: dict[str, Shown] = field(default_factory=dict[str, "Shown"])
    missing: list[str] = field(default_factory=list[str])

    def add(self, page: Page) -> None:
        self.states.update((job.id, state_of(job, page.now)) for job in page.jobs)

    def counts(self) -> Counter[str]:
        return Counter(state.value for state in self.states.values())


class _Making:
    """A change under way."""

    def __init__(
        self, change: Change, how: Mode, *, url: str | None, by: str | None, reason: str | None, dry_run: bool
    ) -> None:
        self._change = change
        self._how = how
        self._url = url
        self._by, self._reason = by, reason
        self._dry_run = dry_run
        self._outcomes = Counter[str]()
        #: One of the jobs of each outcome.
        self._samples: dict[str, str] = {}
        #: Jobs of a write whose answer never came.
        self._unknown = 0

    async def run(self, ids: Sequence[str], filters: Filters, *, ask: bool) -> None:
        change, outcomes = self._change, self._outcomes
        async with opened(self._url, write=not self._dry_run) as backend, hinting(backend.notifier) as hints:
            chosen = await (_by_id(backend.reader, ids) if ids else self._by_filter(backend.reader, filters))
            for given in chosen.missing:
                note(f"there is no job {given}")
            counts = chosen.counts()
            if not counts:
                raise await none_matches(backend, filters, "job")
            if self._dry_run:
                one(self._how, counts, [(state, str(count)) for state, count in counts.items()])
                return
            if ask:
                total = sum(counts.values())
                matched = f"{counted(counts)} {'matches' if total == 1 else 'match'}"
                confirm(matched, change.verb, change.done, count=total)
            try:
                await listing(self._how, self._batches(backend.admin, chosen.states), OUTCOMES)
            finally:
                # Stopped by a person, or by whoever read its output, it says how far it came.
                for hint in {change.hints[outcome] for outcome in outcomes if outcome in change.hints}:
                    hints.tell(hint)
                note(self._far(len(chosen.states)))
        for outcome, mend in change.mends.items():
            if outcome in outcomes:
                note(mend.format(job=self._samples[outcome]))
        if chosen.missing or set(outcomes) - change.fine:
            raise click.exceptions.Exit(Exit.PARTLY)

    def _far(self, count: int) -> str:
        """Say how far it came with so many jobs."""
        outcomes, unknown, done = self._outcomes, self._unknown, self._change.done
        left = count - outcomes.total() - unknown
        told = [counted(outcomes)] if outcomes else []
        told += [f"{unknown:,} may be {done}, the store has not said"] if unknown else []
        told += [f"{left:,} left as they were"] if left else []
        return "; ".join(told) if outcomes or unknown else f"nothing was {done}"

    async def _by_filter(self, reader: JobReader, filters: Filters) -> _Chosen:
        """Gather first: what was counted and confirmed is what is changed, whatever is stored meanwhile."""
        where = await dataclasses.replace(filters, state=filters.state or self._change.states).resolve(reader)
        chosen = _Chosen()
        async for page in pages(reader, where, filters.limit):
            chosen.add(page)
        return chosen

    async def _batches(self, admin: JobAdmin, states: Mapping[str, Shown]) -> AsyncIterator[Sequence[Outcome]]:
        ids = list(states)
        with progress(len(ids)) as advance:
            for start in range(0, len(ids), _BATCH):
                answer = await to_the_end(self._batch(admin, ids[start : start + _BATCH], states))
                advance(len(answer))
                # A person needs the count of what went well, and the names of the rest.
                yield [told for told in answer if self._how is not Mode.TABLE or told[1] not in self._change.fine]

    async def _batch(self, admin: JobAdmin, ids: Sequence[str], states: Mapping[str, Shown]) -> list[Outcome]:
        # The event is written in the same step: it can only tell of what was known before that.
        changeable = [job_id for job_id in ids if states[job_id] in self._change.states] or ids
        subject = changeable[0] if len(changeable) == 1 else ""
        told = tell(self._change.event, subject, by=self._by, reason=self._reason, jobs=len(changeable))
        try:
            answer = await self._change.carry_out(admin, ids, (told,))
        except StoreError as error:
            self._unknown = 0 if error.stored == "no" else len(ids)
            raise
        for outcome, answered in answer.items():
            if answered:
                self._outcomes[outcome] += len(answered)
                self._samples.setdefault(outcome, answered[0])
        return [(job_id, outcome) for outcome, answered in answer.items() for job_id in answered]


async def _by_id(reader: JobReader, ids: Sequence[str]) -> _Chosen:
    chosen = _Chosen()
    for given in ids:
        page = await look_up(reader, given)
        chosen.add(page)
        if not page.jobs:
            chosen.missing.append(given)
    return chosen
