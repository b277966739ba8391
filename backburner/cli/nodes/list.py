"""`backburner nodes list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit, Failed
from backburner.cli.nodes.record import node_json, queues_line, state_of
from backburner.cli.render import Mode, View, json_option, listing, mode
from backburner.cli.store import opened, url_option
from backburner.cli.times import ago, iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.model.node import NodeRecord
    from backburner.ports.backend import Backend

__all__ = ["command"]

_TITLES = ("ID", "STATE", "HOST", "PID", "KINDS", "SINCE", "QUEUES")
#: HOST and PID, which the id begins with, then KINDS.
_SPARE = (2, 3, 4)


@click.command("list")
@json_option
@url_option
def command(*, as_json: bool, url: str | None) -> None:
    """List the nodes: the engines that run jobs of this store, and dead ones until their jobs are taken over.

    Piped, a line is: id, state (alive, draining, dead), host, pid, queues with slots, number of kinds, since. --json
    names the kinds. Exits with 3 if there is none.
    """
    asyncio.run(_list(mode(as_json=as_json), url))


async def _list(how: Mode, url: str | None) -> None:
    async with opened(url) as backend:
        # Lists of nodes tell no time; any page of jobs tells the store's.
        now = (await backend.reader.get([])).now
        view = View(
            titles=_TITLES,
            cells=lambda node: _cells(node, now),
            fields=_fields,
            value=node_json,
            spare=_SPARE,
            numbers=(4,),
        )
        count = await listing(how, _nodes(backend), view)
    if not count:
        raise Failed("no node is listed; each engine that runs jobs is one", Exit.NOTHING)


async def _nodes(backend: Backend) -> AsyncIterator[tuple[NodeRecord, ...]]:
    yield await backend.nodes.find()


def _cells(node: NodeRecord, now: int) -> tuple[str, ...]:
    kinds, since = str(len(node.kinds)), ago(node.started_at, now)
    return (node.id, state_of(node), node.host, str(node.pid), kinds, since, queues_line(node))


def _fields(node: NodeRecord) -> tuple[str, ...]:
    where = (node.id, state_of(node), node.host, str(node.pid))
    return (*where, queues_line(node), str(len(node.kinds)), iso(node.started_at))
