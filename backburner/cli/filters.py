"""The one filter set of every command that means many jobs."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from backburner.cli import completing
from backburner.cli.moments import past
from backburner.cli.reading import each, reading
from backburner.cli.times import Moment, moment
from backburner.model.condition_text import parse_condition
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backburner.model.query import Condition
    from backburner.ports.jobs import JobReader, Page

__all__ = ["Filters", "filter_options", "pages"]

#: Jobs a page.
_PAGE = 500
#: Or nothing: where nothing was raised, the cause is empty.
_CAUSE = re.compile(r"([0-9a-f]{12})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the options say."""

    kind: tuple[str, ...]
    queue: tuple[str, ...]
    state: tuple[Shown, ...]
    error: str | None
    fingerprint: str | None
    tag: tuple[str, ...]
    since: Moment | None
    until: Moment | None
    where: tuple[Condition, ...]
    limit: int | None

    @property
    def given(self) -> bool:
        """Whether any of them narrows down which jobs are meant."""
        # A cause may be empty, where nothing was raised.
        return any((self.kind, self.queue, self.state, self.error, self.tag, self.where)) or not (
            self.fingerprint is None and self.since is None and self.until is None
        )

    async def resolve(self, reader: JobReader) -> JobFilter:
        """Return the filter for the store; moments are seen from the store's own now, and said where they were vague."""
        now = (await reader.get([])).now if self.since or self.until else 0
        return JobFilter(
            kinds=self.kind,
            queues=self.queue,
            states=self.state,
            error=self.error,
            fingerprint=self.fingerprint,
            tags=self.tag,
            since=None if self.since is None else past("since", self.since, now),
            until=None if self.until is None else past("until", self.until, now),
            where=self.where,
        )


def filter_options(*, limit: int | None, states: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the filter options to a command, which takes them as ``filters``; `--state` only to those for ``states``."""
    state = click.option(
        "--state",
        multiple=True,
        type=click.Choice([state.value for state in Shown]),
        callback=each(Shown),
        help="In this state; may be repeated.",
    )
    options = (
        click.option("--kind", multiple=True, shell_complete=completing.kinds, help="Of this kind; may be repeated."),
        click.option(
            "--queue", multiple=True, shell_complete=completing.queues, help="Of this queue; may be repeated."
        ),
        *((state,) if states else ()),
        click.option("--error", metavar="TEXT", help="The last error's type or message contains this."),
        click.option("--fingerprint", callback=reading(_cause), help="The last error has this fingerprint."),
        click.option("--tag", multiple=True, help="With this tag; may be repeated: any of them."),
        click.option(
            "--since",
            metavar="MOMENT",
            callback=reading(moment),
            help="Created at or after: 6h (ago), 23:00, 2026-11-21T03:04Z.",
        ),
        click.option("--until", metavar="MOMENT", callback=reading(moment), help="Created before."),
        click.option(
            "--where",
            metavar="CONDITION",
            multiple=True,
            callback=each(parse_condition),
            help="By argument: args.user.id=7, or != < <= > >=, or args.email~ada (contains); may be repeated: all hold.",
        ),
        click.option(
            "--limit",
            metavar="N",
            type=click.IntRange(min=1),
            default=limit,
            show_default=limit is not None,
            help="The newest N.",
        ),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_filters(**given: Any) -> None:  # noqa: ANN401 - click hands over what options hold
            filters = Filters(**{name: given.pop(name, ()) for name in Filters.__slots__})
            command(filters=filters, **given)

        decorated: Callable[..., None] = with_filters
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _cause(text: str) -> str:
    if _CAUSE.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is no fingerprint: it has 12 hexadecimal digits, and stands in `backburner dlq groups`"
        )
    return text


async def pages(reader: JobReader, where: JobFilter, limit: int | None) -> AsyncIterator[Page]:
    """Read the jobs that match, newest first, page by page, at most ``limit``."""
    left, after = limit, None
    while left is None or left > 0:
        page = await reader.find(where, limit=_PAGE if left is None else min(_PAGE, left), after=after)
        yield page
        if page.after is None:
            return
        after = page.after
        left = None if left is None else left - len(page.jobs)
