"""A kind, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.controls import Controls
    from backburner.model.node import KindRecord

__all__ = ["KINDS", "Kind", "read_kinds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind, who knows it, and whether it is paused."""

    name: str
    #: Live nodes that know it.
    nodes: int
    pause: KindRecord | None

    @property
    def state(self) -> str:
        """Whether its jobs are started: ``active``, ``paused`` or ``unserved``, where no live node knows it."""
        if self.pause is not None:
            return "paused"
        return "active" if self.nodes else "unserved"


async def read_kinds(controls: Controls, name: str | None = None) -> Sequence[Kind]:
    """Return the kinds that live nodes know, that are paused or that jobs wait for, by name; or the one of this name."""
    nodes = [node for node in await controls.backend.nodes.find() if node.alive and not node.draining]
    pauses = {record.name: record for record in await controls.kinds.list()}
    if name is None:
        unknown = (await controls.backend.reader.backlog()).unknown
        names = {*pauses, *unknown, *(kind for node in nodes for kind in node.kinds)}
    else:
        names = {name}
    return [
        Kind(name=each, nodes=sum(each in node.kinds for node in nodes), pause=pauses.get(each))
        for each in sorted(names)
    ]


def _fields(kind: Kind) -> tuple[str, ...]:
    pause = kind.pause
    why = ("", "", "") if pause is None else (iso(pause.paused_until), pause.by or "", pause.reason or "")
    return (kind.name, kind.state, str(kind.nodes), *why)


def _value(kind: Kind) -> dict[str, object]:
    pause = kind.pause
    return {
        "name": kind.name,
        "state": kind.state,
        "nodes": kind.nodes,
        "paused_until": None if pause is None else iso(pause.paused_until) or None,
        "by": None if pause is None else pause.by,
        "reason": None if pause is None else pause.reason,
    }


KINDS: View[Kind] = View(
    titles=("KIND", "STATE", "NODES", "UNTIL", "BY", "REASON"),
    cells=_fields,
    fields=_fields,
    value=_value,
    spare=(2, 4),
    numbers=(2,),
)
