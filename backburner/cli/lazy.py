"""A group of commands that are imported when they are called, so that `--help` and completion stay quick."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Entry", "LazyGroup"]

#: Commands that an error names.
_NAMED = 3


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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the group's own options; of one that is a command's it is said where that goes."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            raise click.UsageError(
                f"{ctx.command_path} has no option {error.option_name}: what belongs to a command goes behind it", ctx
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant; the program ends, and names what comes near, where there is none."""
        name = args[0]
        if name not in self._table and not ctx.resilient_parsing:
            near = " or ".join(f"`{ctx.command_path} {each}`" for each in self._near(name))
            ctx.fail(f"there is no command {name!r}" + (f": did you mean {near}?" if near else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the names of commands without importing them; options as click does."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=_summary(entry))
            for name, entry in self._table.items()
            if name.startswith(incomplete)
        ]

    def _near(self, name: str) -> list[str]:
        """Return commands whose names come near; else those of groups that have one of this very name."""
        near = get_close_matches(name, self._table, n=_NAMED)
        groups = [(group, entry) for group, entry in self._table.items() if isinstance(entry, LazyGroup)]
        return near or [f"{group} {name}" for group, entry in groups if name in entry._table][:_NAMED]  # noqa: SLF001 - of the same class

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        rows = [(name, _summary(entry)) for name, entry in self._table.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(entry: Entry | click.Group) -> str:
    return entry.summary if isinstance(entry, Entry) else entry.help or ""
