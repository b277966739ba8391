"""`backburner dlq import`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import click

from backburner.cli.dlq.desk import desk
from backburner.cli.exits import Exit, Failed
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.errors import LetterFileRefused

if TYPE_CHECKING:
    from collections.abc import Generator

    from backburner.dlq.importing import Imported

__all__ = ["command"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@audit_options
@json_option
@url_option
def command(*, file: Path, reason: str | None, by: str | None, as_json: bool, url: str | None) -> None:
    """Store the dead letters of a file that `dlq export` wrote; - is stdin.

    They are dead here as they were there. The whole file is checked before anything is stored: the first line that is
    broken or foreign is named. Repeated, it stores what is missing and leaves the rest as it is. Exits with 1 if another job
    holds the unique key of any.
    """
    with _whole(file) as path:
        imported = asyncio.run(_import(path, str(file), reason, by, url))
    _tell(imported, mode(as_json=as_json))
    if imported.holders:
        raise click.exceptions.Exit(Exit.PARTLY)


async def _import(path: Path, name: str, reason: str | None, by: str | None, url: str | None) -> Imported:
    async with desk(url, write=True) as opened:
        try:
            return await opened.letters.import_(path, reason=reason, by=by)
        except LetterFileRefused as error:
            raise Failed(f"{name}, {error}; nothing was imported", Exit.REFUSED) from error


@contextmanager
def _whole(file: Path) -> Generator[Path]:
    """Return a file that can be read twice."""
    if str(file) != "-":
        yield file
        return
    with NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _tell(imported: Imported, how: Mode) -> None:
    value = {
        "found": imported.found,
        "stored": imported.stored,
        "known": imported.known,
        "conflicts": imported.holders,
    }
    fields: list[tuple[str, ...]] = [
        ("found", str(imported.found)),
        ("stored", str(imported.stored)),
        ("known", str(imported.known)),
        *(("conflict", job_id, holder) for job_id, holder in imported.holders.items()),
    ]
    one(how, value, fields)
    if imported.known:
        note(f"{imported.known:,} were there before, and were left as they are")
    if imported.holders:
        note(f"{len(imported.holders):,} were not stored, since another job holds their unique key")
