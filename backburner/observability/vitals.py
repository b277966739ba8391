"""What an engine knows of itself, without asking anybody: what health is judged by, and what metrics show of the process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LoopVitals", "Vitals"]


class LoopVitals(NamedTuple):
    """One of the engine's loops."""

    name: str
    #: Steps that failed in a row.
    failures: int
    #: The last of them found the store out of reach.
    away: bool
    #: It runs; False: it has ended, and nobody told it to.
    alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """One moment of an engine. The default is one that has not started, or has stopped."""

    started: bool = False
    #: It takes no more work.
    draining: bool = False
    #: The store was out of reach when it was last tried.
    store_away: bool = False
    #: The node's lease is lost, and the node not back yet.
    lease_lost: bool = False
    #: Seconds since the last beat that succeeded; None: this engine only stores, or has not beaten yet.
    last_beat: float | None = None
    loops: tuple[LoopVitals, ...] = ()
    #: How many runs are under way here, by kind and queue.
    running: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
