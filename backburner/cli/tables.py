"""Tables and facts for a terminal, as wide as it is: what the renderer prints, and a live view draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = ["STATE", "View", "facts", "fitting", "paint", "rows_table", "safe", "stacked", "table", "too_narrow"]

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
#: The titles of columns whose cells are states: a queue may well be called ``running``, and is not coloured for it.
_STATES = frozenset({"STATE", "OUTCOME"})
#: The name of the fact that is a state.
STATE = "state"

#: Columns between two of a table's; those in which a line of text can be made out; and those that still tell something.
_GAP, _READABLE, _LEAST = 2, 30, 8


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
    #: Positions of columns of numbers, which stand below each other by their ends.
    numbers: Sequence[int] = ()


def safe(text: str) -> str:
    """Escape what would break a line or talk to the terminal: tabs, line ends, control codes, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def paint(text: str, *, state: bool) -> Text:
    """Return the text, safe; one that begins with a state, and tells of one, in its colour."""
    return Text(safe(text), style=_COLOURS.get(text.partition(":")[0], "") if state else "")


def table(view: View[T], rows: Sequence[Sequence[str]], width: int) -> Table:
    """Return the rows as a table; as facts below each other where not even the columns that none is spare of have room."""
    kept = fitting(view, rows, width)
    titles, rest = [view.titles[at] for at in kept], [[row[at] for at in kept] for row in rows]
    if too_narrow(titles, rest, width):
        return stacked(view.titles, rows)
    return rows_table(titles, rest, numbers=[kept.index(at) for at in view.numbers if at in kept])


def fitting(view: View[T], rows: Sequence[Sequence[str]], width: int) -> Sequence[int]:
    """Return the positions of the columns that stay, so that the last has the room it needs, or enough to be read."""
    widths = _widths(view.titles, rows)
    kept = set(range(len(widths)))
    for spare in view.spare:
        taken = sum(widths[position] + _GAP for position in kept) - widths[-1] - _GAP
        if width - taken >= min(widths[-1], _READABLE):
            break
        kept.discard(spare)
    return sorted(kept)


def too_narrow(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Tell whether columns would have to be cut that only make sense whole, such as ids."""
    *fixed, last = _widths(titles, rows)
    return sum(each + _GAP for each in fixed) + min(last, _LEAST) > width


def rows_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int] = (),
    *,
    numbers: Collection[int] = (),
    heading: bool = True,
) -> Table:
    """Return a table of these columns, the first of them at least as wide as ``widths`` say."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=heading)
    for position, title in enumerate(titles):
        made.add_column(
            Text(title, no_wrap=True, overflow="ellipsis"),
            # Only the last column gives way; its cells are cut, not wrapped.
            no_wrap=position < len(titles) - 1,
            overflow="ellipsis",
            min_width=widths[position] if position < len(widths) else None,
            justify="right" if position in numbers else "left",
        )
    for row in rows:
        made.add_row(
            *(
                _cell(text, state=title in _STATES, last=at == len(row) - 1)
                for at, (title, text) in enumerate(zip(titles, row, strict=True))
            )
        )
    return made


def stacked(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return the rows each as facts below each other: nothing is cut, however narrow the terminal is."""
    made = _pairs()
    for number, row in enumerate(rows):
        if number:
            made.add_row()
        for title, text in zip(titles, row, strict=True):
            if text:
                made.add_row(Text(title, style="bold"), paint(text, state=title in _STATES))
    return made


def facts(fields: Iterable[tuple[str, str]], states: Collection[str] = (STATE,)) -> Table:
    """Return facts in a line each, or as many as it takes: a name, and what is to be said."""
    made = _pairs()
    for name, text in fields:
        made.add_row(Text(safe(name), style="bold"), paint(text, state=name in states))
    return made


def _pairs() -> Table:
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    return made


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]


def _cell(text: str, *, state: bool, last: bool) -> Text:
    cell = paint(text, state=state)
    cell.no_wrap, cell.overflow = True, "ellipsis" if last else None
    return cell
