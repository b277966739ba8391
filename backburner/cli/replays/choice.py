"""The operation meant, by its id or the beginning of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.exits import Exit, Failed
from backburner.errors import OperationNotFound

if TYPE_CHECKING:
    from backburner.dlq.progress import Progress
    from backburner.dlq.replays import Replays

__all__ = ["by_id"]

#: Operations among which the beginning of an id is looked for; and ids that a refusal names.
_LOOKED_AT, _NAMED = 1_000, 3


async def by_id(replays: Replays, given: str) -> Progress:
    """Return the operation of this id, or the only recent one whose id begins so; else the command ends and says why."""
    try:
        return await replays.get(given)
    except OperationNotFound as error:
        meant = [found for found in await replays.list(limit=_LOOKED_AT) if found.id.startswith(given)]
        if not meant:
            raise Failed(f"{error}: `backburner replays list` shows those there are", Exit.NOTHING) from error
    if len(meant) > 1:
        some = ", ".join(found.id for found in meant[:_NAMED])
        raise Failed(f"{given} begins several ids: {some}{' …' if len(meant) > _NAMED else ''}", Exit.REFUSED)
    return meant[0]
