"""Steps of a schema, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.backend import Migration, SchemaState

__all__ = ["schema_json", "step_fields", "write_sql"]


def step_fields(steps: Sequence[Migration]) -> list[tuple[str, ...]]:
    """Return a line's fields for each step."""
    return [(str(step.version), step.name) for step in steps]


def schema_json(address: str, state: SchemaState) -> dict[str, object]:
    """Return a schema's state as `--json` writes it."""
    return {"store": address, "schema": state.current, "wanted": state.wanted, "pending": state.pending}


def write_sql(steps: Sequence[Migration]) -> None:
    """Write the steps' SQL, each under its name and checksum."""
    for step in steps:
        click.echo(f"-- {step.version} {step.name} (sha256 {step.checksum})\n{step.sql.strip()}\n")
