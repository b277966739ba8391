"""A group of commands that are imported when they are called, so that `--help` and completion stay quick."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Entry", "LazyGroup"]


class Entry(NamedTuple):
    """Where a command lives, as ``command`` in its module, and what a list of commands says of it."""

    module: str
    summary: str


class LazyGroup(click.Group):
    """A group over a table of entries and groups."""

    def __init__(self, name: str, table: Mapping[str, Entry | click.Group], **settings: Any) -> None:  # noqa: ANN401
        super().__init__(name, **settings)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the table's order."""
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        del ctx
        entry = self._table.get(cmd_name)
        if not isinstance(entry, Entry):
            return entry
        command = import_module(entry.module).command
        assert isinstance(command, click.Command)  # noqa: S101 - narrows what an import cannot tell
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        rows = [(name, _summary(entry)) for name, entry in self._table.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(entry: Entry | click.Group) -> str:
    return entry.summary if isinstance(entry, Entry) else entry.help or ""
