"""The nodes meant: by id, by the beginning of one, or all of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.exits import Exit, Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.node import NodeRecord

__all__ = ["by_id", "of_host"]

#: Ids that a refusal names.
_NAMED = 3


def by_id(nodes: Sequence[NodeRecord], given: str) -> NodeRecord:
    """Return the living node of this id, or the only one whose id begins so; else the command ends and says why."""
    meant = [node for node in nodes if node.id == given] or [node for node in nodes if node.id.startswith(given)]
    if not meant:
        raise Failed(f"there is no node {given!r}: `backburner nodes list` shows those there are", Exit.NOTHING)
    living = [node for node in meant if node.alive]
    if not living:
        raise Failed(
            f"{meant[0].id} is dead: it takes no work, and what it ran is taken over by the living", Exit.REFUSED
        )
    if len(living) > 1:
        some = ", ".join(node.id for node in living[:_NAMED])
        raise Failed(f"{given} begins several ids: {some}{' …' if len(living) > _NAMED else ''}", Exit.REFUSED)
    return living[0]


def of_host(nodes: Sequence[NodeRecord], host: str) -> Sequence[NodeRecord]:
    """Return the living nodes of a host; the command ends if there is none."""
    living = [node for node in nodes if node.alive and node.host == host]
    if not living:
        raise Failed(f"no living node of this host ({host}) is listed", Exit.NOTHING)
    return living
