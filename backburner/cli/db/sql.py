"""`backburner db sql`."""

from __future__ import annotations

import click

from backburner.cli.db.steps import write_sql
from backburner.cli.store import unopened, url_option

__all__ = ["command"]


@click.command("sql")
@click.option("--grants", "role", metavar="ROLE", help="Instead: what lets this role run jobs, and change no schema.")
@url_option
def command(*, role: str | None, url: str | None) -> None:
    """Print the SQL of the whole schema, for a store of the URL's kind. The store itself is not touched."""
    backend = unopened(url)
    if role is None:
        write_sql(backend.schema.steps)
        return
    grants = backend.schema.grants(role)
    if grants is None:
        raise click.UsageError(f"{backend.address} is a store without roles: there is nothing to grant")
    click.echo(grants.strip())
