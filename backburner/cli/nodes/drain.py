"""`backburner nodes drain`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backburner.cli.exits import Exit
from backburner.cli.hinting import hinting
from backburner.cli.nodes.choice import by_id, of_host
from backburner.cli.nodes.idle import Idleness
from backburner.cli.outcomes import OUTCOMES
from backburner.cli.reading import reading
from backburner.cli.render import Mode, json_option, listing, mode, note, progress
from backburner.cli.store import opened, url_option
from backburner.cli.who import audit_options
from backburner.jobs.identity import Identity
from backburner.model.clock import SECOND, SystemClock
from backburner.model.duration import parse, short
from backburner.model.telling import tell
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from backburner.cli.outcomes import Outcome
    from backburner.ports.backend import Backend

__all__ = ["command"]

#: How long a wait may take unless it is said, in microseconds.
_TIMEOUT = 300 * SECOND
#: Ids that a line names.
_NAMED = 3


@click.command("drain")
@click.argument("node_id", metavar="[ID]", required=False)
@click.option("--here", is_flag=True, help="Every living node of this host, such as a container's in its stop hook.")
@click.option("--wait", is_flag=True, help="Return when nothing runs there any more.")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=reading(parse),
    help=f"With --wait: at most so long.  [default: {short(_TIMEOUT)}]",
)
@audit_options
@json_option
@url_option
def command(
    *,
    node_id: str | None,
    here: bool,
    wait: bool,
    timeout: int | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Drain a node, by its id or the beginning of it: it takes no new work, and ends what it runs.

    It hears so at once, at worst with its next beat; its readiness turns off. Others take what is stored from then on.
    It drains until its engine is stopped. A line is: id and outcome (draining; with --wait: idle, gone if it stopped,
    busy if time ran out, dead). Exits with 1 if one is busy or dead.
    """
    if (node_id is None) is not here:
        raise click.UsageError("name a node by its id, or say --here: one of the two")
    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to --wait: give both")
    patience = None if not wait else _TIMEOUT if timeout is None else timeout
    asyncio.run(_drain(node_id, (reason, by), mode(as_json=as_json), url, patience))


async def _drain(
    node_id: str | None,
    audit: tuple[str | None, str | None],
    how: Mode,
    url: str | None,
    patience: int | None,
) -> None:
    async with opened(url, write=True) as backend, hinting(backend.notifier) as hints:
        nodes = await backend.nodes.find()
        chosen = of_host(nodes, Identity().host) if node_id is None else (by_id(nodes, node_id),)
        outcomes = {node.id: await _ask(backend, node.id, audit) for node in chosen}
        hints.tell(Hint.CONTROL)
        if patience is None:
            note("no new work is taken there, and what runs is ended; --wait waits for that")
        else:
            outcomes |= await _wait(
                backend, [node for node, said in outcomes.items() if said == "draining"], patience / SECOND
            )
    await listing(how, _page(outcomes), OUTCOMES)
    if {"busy", "dead"} & set(outcomes.values()):
        raise click.exceptions.Exit(Exit.PARTLY)


async def _ask(backend: Backend, node: str, audit: tuple[str | None, str | None]) -> str:
    reason, by = audit
    told = tell("operator.node.drained", node, by=by, reason=reason)
    # Alive when it was chosen, it may have died since.
    return "draining" if await backend.nodes.drain(node, (told,)) else "dead"


async def _wait(backend: Backend, nodes: Sequence[str], seconds: float) -> Mapping[str, str]:
    idleness = Idleness(backend, nodes, SystemClock())
    await idleness.look()
    with progress(idleness.running) as advance:
        await idleness.wait(seconds, advance)
    return {node: await _became(node, idleness) for node in nodes}


async def _became(node: str, idleness: Idleness) -> str:
    """Say what became of a node, and name to a person what it still runs."""
    if node in idleness.dead:
        return "dead"
    if node in idleness.gone:
        return "gone"
    count = idleness.held.get(node, 0)
    if not count:
        return "idle"
    # What has ended since it was counted is not named.
    some = ", ".join(await idleness.some(node, _NAMED))
    note(f"{node} still runs {count:,}: {some}{' …' if count > _NAMED else ''}")
    return "busy"


async def _page(outcomes: Mapping[str, str]) -> AsyncIterator[Sequence[Outcome]]:
    yield tuple(outcomes.items())
