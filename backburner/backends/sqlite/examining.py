"""A store in SQLite, looked over."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from backburner.backends.sqlite.surroundings import look_around, time_of_a_write
from backburner.errors import SchemaTooNew, StoreCorrupt, StoreError
from backburner.ports.backend import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.sqlite.session import Session
    from backburner.ports.backend import Schema
    from backburner.ports.nodes import NodeStore

__all__ = ["examine"]

T = TypeVar("T")

#: The first SQLite that knows strict tables and ``->>``.
_NEEDED = (3, 38, 0)


async def examine(session: Session, schema: Schema, nodes: NodeStore) -> tuple[Finding, ...]:
    """Return what was found, first what matters to every store."""
    findings = [_version(), await _durability(session), await _schema(schema)]
    try:
        findings += await _apart(look_around, session.place)
        findings += await _writing(session)
    except OSError as error:
        raise session.place.error(error) from error
    if findings[2].level is Level.GOOD:
        findings.append(await _nodes(nodes))
    return tuple(findings)


async def _apart(work: Callable[..., T], *args: object) -> T:
    """Run what blocks in a thread that ends with it: an engine that starts leaves none behind."""
    pool = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *args)
    finally:
        pool.shutdown(wait=False)


def _version() -> Finding:
    if sqlite3.sqlite_version_info >= _NEEDED:
        return _good("version", f"SQLite {sqlite3.sqlite_version}")
    needed = ".".join(map(str, _NEEDED))
    return Finding(
        check="version",
        level=Level.PROBLEM,
        found=f"This Python brings SQLite {sqlite3.sqlite_version}, {needed} is needed",
        mend="use a Python with a newer SQLite",
    )


async def _durability(session: Session) -> Finding:
    mode = await session.reads.one("PRAGMA journal_mode")
    synchronous = session.place.synchronous
    if mode != "wal":
        return Finding(
            check="durability",
            level=Level.WARNING,
            found=f"The journal is {mode!r}, not a write-ahead log",
            mend="run `backburner db upgrade`, which switches it, as does an engine that starts",
        )
    if synchronous == "FULL":
        return _good("durability", "A write-ahead log with synchronous=FULL: every commit survives a power cut")
    return Finding(
        check="durability",
        level=Level.WARNING,
        found=f"A write-ahead log with synchronous={synchronous}: a power cut may lose the last commits",
        mend="leave ?synchronous= out of the URL where that matters",
    )


async def _schema(schema: Schema) -> Finding:
    try:
        state = await schema.state()
    except (SchemaTooNew, StoreCorrupt) as error:
        return Finding(
            check="schema", level=Level.PROBLEM, found=str(error), mend="use the backburner that wrote the schema"
        )
    if not state.pending:
        return _good("schema", f"Schema {state.current}, as this backburner wants it")
    return Finding(
        check="schema",
        level=Level.PROBLEM,
        found=f"Schema {state.current}, this backburner wants {state.wanted}",
        mend="run `backburner db upgrade`",
    )


async def _writing(session: Session) -> list[Finding]:
    """Look at what only one who may write can see."""
    if not session.writes:
        return [_good("locks", "Opened for reading: locks, and the time of a write, were not tried")]
    findings: list[Finding] = []
    clock = session.clock
    try:
        await _apart(session.locks.prove)
        findings.append(_good("locks", "The file system keeps locks"))
    except StoreError as error:
        findings.append(
            Finding(check="locks", level=Level.PROBLEM, found=str(error), mend="move the file to a local disk")
        )
    try:
        await session.write(lambda _: None)
        findings.append(_good("writing", "The file takes writes"))
    except StoreError as error:
        findings.append(Finding(check="writing", level=Level.PROBLEM, found=str(error), mend="see to what is named"))
    return [*findings, await _apart(time_of_a_write, session.place, clock)]


async def _nodes(nodes: NodeStore) -> Finding:
    listed = await nodes.find()
    alive = [node.id for node in listed if node.alive]
    dead = [node.id for node in listed if not node.alive]
    told = f"{len(alive)} alive, {len(dead)} dead"
    if not dead or alive:
        return _good("nodes", told)
    return Finding(
        check="nodes",
        level=Level.WARNING,
        found=f"{told}: nobody takes over what {', '.join(dead[:3])} ran",
        mend="start the app, or `backburner run`",
    )


def _good(check: str, found: str) -> Finding:
    return Finding(check=check, level=Level.GOOD, found=found)
