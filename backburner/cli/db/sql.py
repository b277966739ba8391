"""`backburner db sql`."""

from __future__ import annotations

import click

from backburner.cli.db.steps import write_sql
from backburner.cli.store import unopened, url_option

__all__ = ["command"]


@click.command("sql")
@url_option
def command(*, url: str | None) -> None:
    """Print the SQL of the whole schema, for a store of the URL's kind. The store itself is not touched."""
    write_sql(unopened(url).schema.steps)
