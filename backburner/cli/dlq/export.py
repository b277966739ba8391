"""`backburner dlq export`."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, get_args

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.dlq.meaning import check_meaning, meaning
from backburner.cli.exits import Exit, Failed
from backburner.cli.filters import Filters, filter_options
from backburner.cli.render import note, progress
from backburner.cli.store import url_option
from backburner.dlq.letterfile import Secrets

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["command"]


@click.command("export")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_options(limit=None)
@click.option("--all", "everything", is_flag=True, help="Every dead letter there is.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, all of it or none; else stdout.",
)
@click.option(
    "--secrets",
    type=click.Choice(get_args(Secrets)),
    help="What becomes of secrets: keep them in the file, for --output alone, which only you can read then; or mask them, "
    "and the file cannot be imported.",
)
@url_option
def command(
    *,
    ids: tuple[str, ...],
    filters: Filters,
    everything: bool,
    output: Path | None,
    secrets: Secrets | None,
    url: str | None,
) -> None:
    """Write dead letters as JSON Lines, whole: arguments, every attempt, tracebacks, unique keys.

    By ids, by a filter, or --all of them. The first line says what the file is; `dlq import` reads it, into any store.
    Nothing is changed: `dlq purge` deletes. Exits with 3 if nothing matches, and with 2 at a letter with secrets, unless
    --secrets says what becomes of them.
    """
    check_meaning(ids, filters, everything=everything)
    if output is not None and not output.parent.is_dir():
        raise click.BadParameter(f"there is no directory {str(output.parent)!r}", param_hint="'--output'")
    if secrets == "keep" and output is None:
        raise click.UsageError(
            "--secrets keep needs --output: the file can be read by you alone, what is printed by many"
        )
    count = asyncio.run(_export(ids, filters, output, secrets, url))
    note(f"{count:,} {'letter' if count == 1 else 'letters'} written")


async def _export(
    ids: tuple[str, ...], filters: Filters, output: Path | None, secrets: Secrets | None, url: str | None
) -> int:
    async with desk(url) as opened:
        meant = await meaning(opened.backend.reader, ids, filters)
        found = await opened.letters.survey(meant.where, ids=meant.ids, limit=meant.limit)
        if not found.letters:
            raise Failed("no dead letter matches", Exit.NOTHING)
        written = 0
        with _file(output) as file, progress(found.letters) as advance:
            lines = opened.letters.export(meant.where, ids=meant.ids, limit=meant.limit, secrets=secrets)
            async for line in lines:
                file.write(line)
                written += 1
                advance(1)
    return written - 1  # the header


@contextmanager
def _file(output: Path | None) -> Generator[IO[bytes]]:
    """Open what is written to; a file appears under its name once it is whole, and is its owner's to read alone."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(output)
        except BaseException:
            Path(file.name).unlink()
            raise
