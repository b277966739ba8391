"""Driving an operation in the foreground, beside the nodes that do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.cli.render import note, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.dlq.progress import Progress
    from backburner.dlq.replays import Replays

__all__ = ["carried"]


async def carried(replays: Replays, begun: Progress, *, watch: bool) -> Progress:
    """Drive an operation until no letter is left, under a progress bar; Ctrl-C leaves it to nodes.

    With ``watch``, until the first attempts of what was replayed are known.
    """
    try:
        with progress(begun.found) as advance:
            return await replays.carry(begun.id, _bar(advance), watch=watch)
    except asyncio.CancelledError:
        note(f"\nnodes carry {begun.id} on; stop it by: backburner replays stop {begun.id}")
        raise


def _bar(advance: Callable[[int], None]) -> Callable[[Progress], None]:
    shown = 0

    def seen(progress: Progress) -> None:
        nonlocal shown
        looked_at = progress.done + progress.kept + progress.missed + progress.refused
        advance(looked_at - shown)
        shown = looked_at

    return seen
