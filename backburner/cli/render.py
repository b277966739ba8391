"""The one renderer: a table for a terminal, tab-separated lines for a pipe, JSON where it is asked for."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from backburner.cli.tables import STATE, View, paint, rows_table, safe, stacked, table, too_narrow

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Collection,
        Generator,
        Iterable,
        Mapping,
        Sequence,
    )

    from rich.console import RenderableType

__all__ = [
    "Mode",
    "View",
    "counted",
    "following",
    "is_terminal",
    "json_option",
    "listing",
    "mode",
    "note",
    "one",
    "page",
    "progress",
    "safe",
    "screen",
]

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="JSON: one object a line for lists.")


class Mode(Enum):
    """How data leaves."""

    TABLE = auto()
    LINES = auto()
    JSON = auto()


def mode(*, as_json: bool) -> Mode:
    """Choose: what was asked for, else what stdout is."""
    if as_json:
        return Mode.JSON
    return Mode.TABLE if is_terminal() else Mode.LINES


def is_terminal() -> bool:
    """Tell whether stdout is a terminal."""
    return sys.stdout.isatty()


def is_interactive() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def note(text: str) -> None:
    """Tell a person something that is no data."""
    click.echo(text, err=True)


async def listing(how: Mode, pages: AsyncIterable[Sequence[T]], view: View[T]) -> int:
    """Write a list as its pages arrive (a table needs all of them first) and return how long it was."""
    count = 0
    rows: list[Sequence[str]] = []
    async for page in pages:
        count += len(page)
        match how:
            case Mode.TABLE:
                rows += map(view.cells, page)
            case Mode.LINES:
                _write("\t".join(map(safe, view.fields(item))) for item in page)
            case Mode.JSON:
                _write(_json(view.value(item)) for item in page)
    if rows:
        console = _console()
        console.print(table(view, rows, console.width))
    return count


async def following(how: Mode, pages: AsyncIterable[Sequence[T]], view: View[T]) -> None:
    """Write what comes, as it comes: on a terminal in columns that only grow wider."""
    if how is not Mode.TABLE:
        await listing(how, pages, view)
        return
    widths = [0] * len(view.titles)
    async for page in pages:
        if not page:
            continue
        rows = [*map(view.cells, page)]
        heading = not any(widths)
        lengths = zip(widths, view.titles, *rows, strict=True)
        widths = [max(before, *map(cell_len, column)) for before, *column in lengths]
        console = _console()
        if too_narrow(view.titles, rows, console.width):
            console.print(stacked(view.titles, rows))
        else:
            console.print(rows_table(view.titles, rows, widths[:-1], heading=heading))


async def page(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Bring a list that is all there."""
    yield items


def one(
    how: Mode,
    value: object,
    fields: Sequence[tuple[str, ...]],
    *,
    text: Sequence[RenderableType] = (),
    states: Collection[str] = (STATE,),
) -> None:
    """Write one thing: as a JSON object, as name and values in a line each, or for a person, followed by ``text``.

    ``states`` are the names of what begins with a state.
    """
    match how:
        case Mode.JSON:
            _write([_json(value)])
        case Mode.LINES:
            _write("\t".join(map(safe, field)) for field in fields)
        case Mode.TABLE:
            width = max((len(field[0]) for field in fields), default=0) + 2
            for name, *values in fields:
                told = paint("  ".join(values), state=name in states)
                _console().print(Text(name.ljust(width), style="bold"), told, sep="", soft_wrap=True)
            for block in text:
                _console().print(block, soft_wrap=True)


def screen(
    how: Mode, value: object, lines: Iterable[Sequence[str]], made: Callable[[int], Sequence[RenderableType]]
) -> None:
    """Write several things at once: as one JSON object, as lines, or as what is made of them for a terminal's width."""
    match how:
        case Mode.JSON:
            _write([_json(value)])
        case Mode.LINES:
            _write("\t".join(map(safe, line)) for line in lines)
        case Mode.TABLE:
            console = _console()
            for block in made(console.width):
                console.print(block)


def counted(by_name: Mapping[str, int]) -> str:
    """Write ``12 jobs (10 waiting, 2 running)``."""
    total = sum(by_name.values())
    parts = ", ".join(f"{count:,} {name}" for name, count in by_name.items() if count)
    return f"{total:,} {'job' if total == 1 else 'jobs'} ({parts})"


@contextmanager
def progress(total: int) -> Generator[Callable[[int], None]]:
    """Show a bar on stderr, if that is a terminal, and hand out what moves it on."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, force_terminal=True)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _write(lines: Iterable[str]) -> None:
    text = "\n".join(lines)
    if text:
        click.echo(text)
