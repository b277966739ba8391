"""The one renderer: a table for a terminal, tab-separated lines for a pipe, JSON where it is asked for."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, TypeVar

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence

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
]

T = TypeVar("T")

#: How states look on a terminal.
_COLOURS = {
    "dead": "red",
    "retrying": "yellow",
    "draining": "yellow",
    "running": "cyan",
    "completed": "green",
    "alive": "green",
    "cancelled": "dim",
    "problem": "red",
    "warning": "yellow",
    "good": "green",
    "paused": "yellow",
    "unserved": "red",
    "open": "red",
    "half-open": "yellow",
    "closing": "yellow",
    "retired": "yellow",
    "skipped": "yellow",
}

#: Columns between two of a table's; and those in which a line of text can be made out.
_GAP, _READABLE = 2, 30

json_option = click.option("--json", "as_json", is_flag=True, help="JSON: one object a line for lists.")


class Mode(Enum):
    """How data leaves."""

    TABLE = auto()
    LINES = auto()
    JSON = auto()


@dataclass(frozen=True, slots=True)
class View(Generic[T]):
    """How items of a list look in each mode."""

    #: Titles of the terminal's columns. The last one gives way first; when little is left of it, ``spare`` ones go.
    titles: Sequence[str]
    #: An item's cells on a terminal.
    cells: Callable[[T], Sequence[str]]
    #: An item's fields in a pipe.
    fields: Callable[[T], Sequence[str]]
    #: An item's JSON object.
    value: Callable[[T], object]
    #: Positions of columns that a narrow terminal does without, the first to go first.
    spare: Sequence[int] = ()


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
    table: list[Sequence[str]] = []
    async for page in pages:
        count += len(page)
        match how:
            case Mode.TABLE:
                table += map(view.cells, page)
            case Mode.LINES:
                _write("\t".join(map(safe, view.fields(item))) for item in page)
            case Mode.JSON:
                _write(_json(view.value(item)) for item in page)
    if table:
        console = _console()
        console.print(_table(*_fitting(view, table, console.width)))
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
        _console().print(_table(view.titles, rows, widths[:-1], heading=heading))


async def page(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Bring a list that is all there."""
    yield items


def one(how: Mode, value: object, fields: Sequence[tuple[str, ...]], *, text: Sequence[Text] = ()) -> None:
    """Write one thing: as a JSON object, as name and values in a line each, or for a person, followed by ``text``."""
    match how:
        case Mode.JSON:
            _write([_json(value)])
        case Mode.LINES:
            _write("\t".join(map(safe, field)) for field in fields)
        case Mode.TABLE:
            width = max((len(field[0]) for field in fields), default=0) + 2
            for name, *values in fields:
                _console().print(
                    Text(name.ljust(width), style="bold"), _paint("  ".join(values)), sep="", soft_wrap=True
                )
            for block in text:
                _console().print(block, soft_wrap=True)


def safe(text: str) -> str:
    """Escape what would break a line or talk to the terminal: tabs, line ends, control codes, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _paint(text: str) -> Text:
    """Return the text, safe, and coloured if it begins with a state."""
    return Text(safe(text), style=_COLOURS.get(text.partition(":")[0], ""))


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


def _fitting(view: View[T], rows: Sequence[Sequence[str]], width: int) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Leave out spare columns until the last one has the room it needs, or enough to be read."""
    widths = [max(map(cell_len, column)) for column in zip(view.titles, *rows, strict=True)]
    kept = set(range(len(widths)))
    for spare in view.spare:
        taken = sum(widths[position] + _GAP for position in kept) - widths[-1] - _GAP
        if width - taken >= min(widths[-1], _READABLE):
            break
        kept.discard(spare)
    chosen = sorted(kept)
    return [view.titles[at] for at in chosen], [[row[at] for at in chosen] for row in rows]


def _table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int] = (), *, heading: bool = True
) -> Table:
    """Make a table, its first columns at least as wide as ``widths`` say."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=heading)
    for position, title in enumerate(titles):
        # Only the last column gives way; its cells are cut, not wrapped.
        least = widths[position] if position < len(widths) else None
        table.add_column(title, no_wrap=position < len(titles) - 1, overflow="ellipsis", min_width=least)
    for row in rows:
        table.add_row(*(_cell(text, last=position == len(row) - 1) for position, text in enumerate(row)))
    return table


def _cell(text: str, *, last: bool) -> Text:
    cell = _paint(text)
    cell.no_wrap, cell.overflow = True, "ellipsis" if last else None
    return cell


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False, force_terminal=True)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _write(lines: Iterable[str]) -> None:
    text = "\n".join(lines)
    if text:
        click.echo(text)
