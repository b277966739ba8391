"""`backburner jobs stats`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import msgspec

from backburner.cli import completing
from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.ended import ended
from backburner.cli.moments import past
from backburner.cli.reading import reading
from backburner.cli.render import Mode, View, json_option, listing, mode, note, page
from backburner.cli.store import opened, url_option
from backburner.cli.times import Moment, iso, moment
from backburner.model.clock import SECOND
from backburner.model.duration import about
from backburner.model.query import JobFilter
from backburner.observability.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.observability.durations import Ended, Spread
    from backburner.ports.jobs import JobReader

__all__ = ["command"]

_MINUTE = 60 * SECOND


@click.command("stats")
@click.option("--kind", "kinds", multiple=True, shell_complete=completing.kinds, help="Of this kind; may be repeated.")
@click.option(
    "--queue", "queues", multiple=True, shell_complete=completing.queues, help="Of this queue; may be repeated."
)
@click.option("--tag", "tags", multiple=True, help="With this tag; may be repeated: any of them.")
@click.option(
    "--since",
    metavar="MOMENT",
    default="1h",
    show_default=True,
    callback=reading(moment),
    help="Ended at or after: 6h (ago), 23:00, 2026-11-21T03:04Z.",
)
@click.option("--until", metavar="MOMENT", callback=reading(moment), help="Ended before.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Of the newest N jobs that ended.",
)
@json_option
@url_option
def command(
    *,
    kinds: tuple[str, ...],
    queues: tuple[str, ...],
    tags: tuple[str, ...],
    since: Moment,
    until: Moment | None,
    limit: int,
    as_json: bool,
    url: str | None,
) -> None:
    """Count the jobs that ended, by kind, and say how long they waited and ran, that of which most ended first.

    WAIT is from when a job's last run was due until it began, RUN is how long that took, both of what completed or died;
    half of the jobs stayed below P50, all but one of a hundred below P99. RETRIES are failures after which it was tried
    again. What the store has deleted since (completed jobs, mostly after a day) is not counted. Piped, a line is: kind,
    completed, dead, cancelled, completed a minute, retries, wait (p50, p95, p99, max), run (the same), in seconds. Exits
    with 3 if none ended.
    """
    where = JobFilter(kinds=kinds, queues=queues, tags=tags)
    asyncio.run(_stats(where, (since, until), limit, mode(as_json=as_json), url))


async def _stats(
    where: JobFilter, between: tuple[Moment, Moment | None], limit: int, how: Mode, url: str | None
) -> None:
    async with opened(url) as backend:
        now = (await backend.reader.get([])).now
        since = past("since", between[0], now)
        until = now if between[1] is None else past("until", between[1], now)
        if until <= since:
            raise click.UsageError(f"--until is {iso(until)}, which is not after --since, {iso(since)}")
        if between[1] is not None:
            where = msgspec.structs.replace(where, ended_before=until)
        found = await _read(backend.reader, where, _Window(since, until, now), limit)
    kinds = found.durations.kinds()
    if not kinds:
        raise Failed(f"no job that matches ended between {iso(since)} and {iso(until)}", Exit.NOTHING)
    await listing(how, page(kinds), _view(found.window))
    if found.cut:
        note(f"the newest {limit:,}, since {iso(found.window.since)}: there are more, --limit")


@dataclass(frozen=True, slots=True)
class _Window:
    """From when until when, as seen from the store's now."""

    since: int
    until: int
    now: int

    def a_minute(self, count: int) -> float:
        """Return how many of so many that is a minute; what lasted less counts as a second."""
        return count * _MINUTE / max(self.until - self.since, SECOND)


@dataclass(frozen=True, slots=True)
class _Found:
    durations: Durations
    #: What was read of the window that was asked for.
    window: _Window
    #: Nothing older was read, for its number.
    cut: bool


async def _read(reader: JobReader, where: JobFilter, window: _Window, limit: int) -> _Found:
    """Sum up the newest jobs of a window; one more than are counted tells whether there are more."""
    durations = Durations()
    count, oldest = 0, window.until
    async for state, job in ended(reader, where, within=window.now - window.since, limit=limit + 1):
        if count == limit:
            return _Found(durations, _Window(oldest, window.until, window.now), cut=True)
        durations.add(state, job)
        count, oldest = count + 1, job.ended_at
    return _Found(durations, window, cut=False)


_LENGTHS = ("p50", "p95", "p99", "max")


def _view(window: _Window) -> View[Ended]:
    def cells(kind: Ended) -> tuple[str, ...]:
        counts = (f"{kind.completed:,}", f"{kind.dead:,}", f"{kind.cancelled:,}")
        rate = window.a_minute(kind.completed)
        told = f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.2g}"  # noqa: PLR2004 - two digits will do
        lengths = (each for spread in (kind.wait, kind.run) for each in _lengths(spread))
        texts = ("-" if each is None else about(each) for each in lengths)
        return (kind.kind, *counts, told, f"{kind.retries:,}", *texts)

    def fields(kind: Ended) -> tuple[str, ...]:
        counts = (str(kind.completed), str(kind.dead), str(kind.cancelled))
        lengths = (each for spread in (kind.wait, kind.run) for each in _lengths(spread))
        texts = ("" if each is None else str(each / SECOND) for each in lengths)
        return (kind.kind, *counts, str(round(window.a_minute(kind.completed), 3)), str(kind.retries), *texts)

    def value(kind: Ended) -> dict[str, object]:
        return {
            "kind": kind.kind,
            "completed": kind.completed,
            "dead": kind.dead,
            "cancelled": kind.cancelled,
            "per_minute": round(window.a_minute(kind.completed), 3),
            "retries": kind.retries,
            "wait": _json(kind.wait),
            "run": _json(kind.run),
            "since": iso(window.since),
            "until": iso(window.until),
        }

    titles = ("KIND", "COMPLETED", "DEAD", "CANCELLED", "A MINUTE", "RETRIES")
    return View(
        titles=(*titles, "WAIT P50", "P95", "P99", "MAX", "RUN P50", "P95", "P99", "MAX"),
        cells=cells,
        fields=fields,
        value=value,
        # CANCELLED, RETRIES, and what lies between the middle and the end.
        spare=(3, 8, 12, 5, 7, 11),
        numbers=range(1, 14),
    )


def _lengths(spread: Spread | None) -> Sequence[int | None]:
    return [None if spread is None else getattr(spread, name) for name in _LENGTHS]


def _json(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {name: getattr(spread, name) / SECOND for name in _LENGTHS}
