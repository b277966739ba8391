"""`backburner db plan`."""

from __future__ import annotations

import asyncio

import click

from backburner.cli.db.steps import schema_json, write_sql
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.store import connected, given, unopened, url_option
from backburner.errors import StoreMissing
from backburner.ports.backend import SchemaState

__all__ = ["command"]


@click.command("plan")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """Print the SQL that an upgrade of this store would run. Changes nothing."""
    asyncio.run(_plan(mode(as_json=as_json), given(url)))


async def _plan(how: Mode, url: str | None) -> None:
    address, state = await _state(url)
    if how is Mode.JSON:
        one(how, schema_json(address, state), ())
    else:
        write_sql(state.pending)
    todo = f"{len(state.pending)} to apply" if state.pending else "up to date"
    note(f"{address}: schema {state.current}, wanted {state.wanted}: {todo}")


async def _state(url: str | None) -> tuple[str, SchemaState]:
    try:
        async with connected(url) as backend:
            return backend.address, await backend.schema.state()
    except StoreMissing:
        backend = unopened(url)
        steps = backend.schema.steps
        return backend.address, SchemaState(current=0, wanted=steps[-1].version if steps else 0, pending=steps)
