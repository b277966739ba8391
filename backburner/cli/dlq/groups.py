"""`backburner dlq groups`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.filters import Filters, filter_options
from backburner.cli.jobs.record import error_line
from backburner.cli.known import none_matches
from backburner.cli.reading import MOST
from backburner.cli.render import Mode, View, json_option, listing, mode, note
from backburner.cli.store import url_option
from backburner.cli.times import ago, iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from backburner.ports.jobs import FailureGroup

__all__ = ["command"]

_TITLES = ("CAUSE", "LETTERS", "FIRST", "LAST", "KINDS", "ERROR")
#: FIRST and KINDS.
_SPARE = (2, 4)
#: Causes shown unless told otherwise.
_LIMIT = 100


@click.command("groups")
@filter_options(limit=_LIMIT)
@json_option
@url_option
def command(*, filters: Filters, as_json: bool, url: str | None) -> None:
    """Show dead letters by cause: how many, since when, until when, of which kinds.

    One outage is one line. --limit is the number of causes, those with most letters first. The newest letter of the first
    cause is shown by `backburner dlq show @1`, its letters are listed by `dlq list --fingerprint CAUSE`. Piped, a line is:
    fingerprint, letters, first, last, kinds, newest letter, reason, error. Exits with 3 if nothing matches.
    """
    asyncio.run(_groups(filters, mode(as_json=as_json), url))


async def _groups(filters: Filters, how: Mode, url: str | None) -> None:
    limit = min(filters.limit or _LIMIT, MOST)
    async with desk(url) as opened:
        found = await opened.letters.groups(await filters.resolve(opened.backend.reader), limit=limit)
        if not found.groups:
            raise await none_matches(opened.backend, filters, "dead letter")

    async def page() -> AsyncIterator[tuple[FailureGroup, ...]]:
        yield found.groups

    def cells(group: FailureGroup) -> tuple[str, ...]:
        moments = (ago(group.first, found.now), ago(group.last, found.now))
        return (group.fingerprint or "-", f"{group.count:,}", *moments, _kinds(group.kinds), _error(group))

    await listing(
        how, page(), View(titles=_TITLES, cells=cells, fields=_fields, value=_value, spare=_SPARE, numbers=(1,))
    )
    causes, letters = len(found.groups), sum(group.count for group in found.groups)
    more = f"; there may be more: --limit is {limit:,}" if causes == limit else ""
    note(
        f"{causes:,} {'cause' if causes == 1 else 'causes'}, {letters:,} {'letter' if letters == 1 else 'letters'}{more}"
    )


def _error(group: FailureGroup) -> str:
    return error_line(group.error, group.message) or group.reason or "no error was written down"


def _kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(kinds if len(kinds) == 1 else (f"{kind} {count:,}" for kind, count in kinds.items()))


def _fields(group: FailureGroup) -> tuple[str, ...]:
    kinds = ",".join(f"{kind}={count}" for kind, count in group.kinds.items())
    moments = (iso(group.first), iso(group.last))
    reason, error = group.reason or "", error_line(group.error, group.message)
    return (group.fingerprint, str(group.count), *moments, kinds, group.sample, reason, error)


def _value(group: FailureGroup) -> object:
    return {
        "fingerprint": group.fingerprint or None,
        "letters": group.count,
        "first": iso(group.first),
        "last": iso(group.last),
        "kinds": group.kinds,
        "sample": group.sample,
        "reason": group.reason,
        "error": group.error or None,
        "message": group.message or None,
    }
