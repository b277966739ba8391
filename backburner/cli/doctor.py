"""`backburner doctor`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, exit_of
from backburner.cli.render import Mode, View, json_option, listing, mode, one
from backburner.cli.store import looked_for, unopened, url_option
from backburner.errors import SchemaTooNew, SchemaTooOld, StoreError, StoreReadOnly
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.ports.backend import Backend

__all__ = ["command"]


@click.command("doctor")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """Look the store over: version, durability, latency, schema, disk, and what else can be wrong.

    A line is: check, level (good, warning, problem), what was found, how to mend it. Exits with 1 if anything is not
    good, with 4 if the store cannot be reached, with 5 if its schema is another. Changes nothing.
    """
    asyncio.run(_look(url, mode(as_json=as_json)))


async def _look(url: str | None, how: Mode) -> None:
    try:
        with looked_for(url):
            findings, code = await _examine(unopened(url))
    except StoreError as error:
        findings, code = [_finding("store", error)], exit_of(error)
    if how is Mode.TABLE:
        # Whole sentences, of which a table would cut the end off.
        checks = {finding.check for finding in findings}
        one(how, None, [line for finding in findings for line in _lines(finding)], states=checks)
    else:
        await listing(how, _page(findings), _VIEW)
    if code is not Exit.DONE:
        raise click.exceptions.Exit(code)


async def _examine(backend: Backend) -> tuple[Sequence[Finding], Exit]:
    findings: list[Finding] = []
    try:
        await backend.open(create=False, write=False)
        code = await _check_schema(backend)
        if code is Exit.DONE:
            findings += await _open_for_writing(backend)
        findings[:0] = await backend.examine()
    finally:
        await backend.close()
    if code is Exit.DONE and any(finding.level is not Level.GOOD for finding in findings):
        code = Exit.PARTLY
    return findings, code


async def _check_schema(backend: Backend) -> Exit:
    """Return what the schema alone comes to; what is wrong with it is among the findings."""
    try:
        state = await backend.schema.state()
    except (SchemaTooOld, SchemaTooNew):
        return Exit.SCHEMA
    return Exit.SCHEMA if state.pending else Exit.DONE


async def _open_for_writing(backend: Backend) -> list[Finding]:
    """Open what is surely a store anew, as an engine would; that this cannot be done is a finding."""
    await backend.close()
    try:
        await backend.open(create=False, write=True)
    except StoreError as error:
        await backend.open(create=False, write=False)
        level = Level.WARNING if isinstance(error, StoreReadOnly) else Level.PROBLEM
        return [_finding("writing", error, level)]
    return []


def _finding(check: str, error: StoreError, level: Level = Level.PROBLEM) -> Finding:
    # Errors of stores say how to mend them.
    return Finding(check=check, level=level, found=str(error))


async def _page(findings: Sequence[Finding]) -> AsyncIterator[Sequence[Finding]]:
    yield findings


def _lines(finding: Finding) -> list[tuple[str, str]]:
    mend = [("", f"→ {finding.mend}")] if finding.mend else []
    return [(finding.check, f"{finding.level}: {finding.found}"), *mend]


_VIEW: View[Finding] = View(
    titles=(),
    cells=lambda _: (),
    fields=lambda finding: (finding.check, finding.level, finding.found, finding.mend),
    value=lambda finding: finding,
)
