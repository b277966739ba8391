"""The page of the command line, out of the program itself."""

from __future__ import annotations

import re
from collections import Counter
from inspect import cleandoc
from textwrap import fill
from typing import TYPE_CHECKING

import click

from backburner.cli import main as program

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["commands", "page"]

HEAD = """# The command line

`backburner --help`, whole: this page is made of the program (`python scripts/write_reference.py`).
"""

#: Options that so many commands have, in the same words, are told once.
MANY = 10
WIDTH = 120
#: Options in sentences, which are shown as code, beside what is code already.
OPTIONS = re.compile(r"`[^`]*`|(?<![\w-])--[a-z][a-z-]*")
#: What Markdown would take for its own, outside of code.
MARKS = re.compile(r"`[^`]*`|[\\*]|<(?=[A-Za-z/])")

Record = tuple[str, str]


def page() -> str:
    """Return the page."""
    found = list(commands(program, "backburner"))
    counted = Counter(record for _, context in found for record in _records(context))
    common = {record for record, times in counted.items() if times >= MANY}
    lines = [HEAD, *_epilog(), "## What many commands take\n", *map(_item, sorted(common)), ""]
    for name, context in found:
        lines += _command(name, context, common)
    return "\n".join(lines)


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Context]]:
    """Yield every command below one, with its full name, in the program's order."""
    context = click.Context(command, info_name=name, parent=parent)
    if parent is not None:
        yield context.command_path, context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from commands(below, each, context)


def _epilog() -> Iterator[str]:
    for sentence in re.split(r"\n(?=Exit codes)", cleandoc(program.epilog or "").removeprefix("\b\n")):
        yield _prose(sentence)


def _command(name: str, context: click.Context, common: set[Record]) -> Iterator[str]:
    group = isinstance(context.command, click.Group)
    top = name.count(" ") == 1
    yield f"{'##' if top else '###'} {name}\n"
    if group:
        yield _prose(context.command.help or "")
        return
    yield f"```text\n{' '.join((name, *context.command.collect_usage_pieces(context)))}\n```\n"
    said = "\n\n".join(map(cleandoc, filter(None, (context.command.help, context.command.epilog))))
    for paragraph in re.split(r"\n{2,}", said):
        yield f"```text\n{paragraph[2:]}\n```\n" if paragraph.startswith("\b\n") else _prose(paragraph)
    records = _records(context)
    yield from (_item(record) for record in records if record not in common)
    shared = [f"`{option.partition(' ')[0]}`" for option, text in records if (option, text) in common]
    if shared:
        also = " also" if len(shared) < len(records) else ""
        yield f"{chr(10) if also else ''}It{also} takes {', '.join(shared)}.\n"
    else:
        yield ""


def _records(context: click.Context) -> list[Record]:
    found = (parameter.get_help_record(context) for parameter in context.command.params)
    return [record for record in found if record is not None and record[1]]


def _item(record: Record) -> str:
    option, text = record
    return _filled(f"- `{option}` {_escaped(text)}", indent="  ")


def _prose(text: str) -> str:
    return _filled(_escaped(text)) + "\n"


def _filled(text: str, *, indent: str = "") -> str:
    return fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _escaped(text: str) -> str:
    coded = OPTIONS.sub(lambda option: f"`{option[0].strip('`')}`", " ".join(text.split()))
    return MARKS.sub(lambda mark: mark[0] if mark[0].startswith("`") else f"\\{mark[0]}", coded)
