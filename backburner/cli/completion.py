"""`backburner completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from backburner.cli import render
from backburner.cli.exits import Exit, Failed
from backburner.cli.program import main

__all__ = ["command"]

_PROGRAM, _VARIABLE = "backburner", "_BACKBURNER_COMPLETE"
#: What makes it so in every new shell.
_INSTALL = {
    "bash": 'add to ~/.bashrc: eval "$(backburner completion bash)"',
    "zsh": 'add to ~/.zshrc, behind compinit: eval "$(backburner completion zsh)"',
    "fish": "run once: backburner completion fish > ~/.config/fish/completions/backburner.fish",
}


_HELP = "\n".join(
    (
        "Print the script that completes commands, options and values in a shell.",
        "\n\b",
        *(f"{shell}: {install}" for shell, install in _INSTALL.items()),
        "",
        "Names of kinds, queues and schedules that need no quotes are completed too, where the store that --url or",
        "BACKBURNER_URL names answers at once.",
    )
)


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice([*_INSTALL]))
def command(*, shell: str) -> None:
    """Print the script."""
    found = get_completion_class(shell)
    if found is None:
        raise Failed(f"this click completes nothing in {shell}: upgrade it", Exit.REFUSED)
    click.echo(found(main, {}, _PROGRAM, _VARIABLE).source())
    if render.is_terminal():
        render.note(f"to have it in every shell, {_INSTALL[shell]}")
