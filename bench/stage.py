"""What every measure gets: which store, how much, how often, and where stores may lie."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from backburner import Backburner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.places import Host, Place, SharedHost, Store

__all__ = ["Stage", "alternate", "in_turn"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run of the bench."""

    store: Store
    host: Host
    rounds: int
    #: What every count is multiplied by: 1, or less for a quick look.
    scale: float

    @property
    def driven(self) -> bool:
        """Whether there is a driver underneath whose raw limit can be measured."""
        return self.store != "memory"

    @property
    def server(self) -> SharedHost | None:
        """The host, where it is a server that processes share over a network."""
        return cast("SharedHost", self.host) if self.store in {"postgres", "redis"} else None

    def count(self, full: int) -> int:
        """Return a count at this run's scale."""
        return max(100, int(full * self.scale))

    @contextmanager
    def fresh(self) -> Iterator[Place]:
        """Lend a new, empty store with the engine's own schema; it is gone afterwards."""
        with self.host.fresh() as place:
            if self.driven:
                asyncio.run(_install(place.url))
            yield place


def alternate(rounds: int, engine: Callable[[], T], raw: Callable[[], T] | None = None) -> tuple[list[T], list[T]]:
    """Run both sides in turn, each first in every other round, so that neither has the quieter machine."""
    engines: list[T] = []
    raws: list[T] = []
    sides = [(engine, engines)] if raw is None else [(engine, engines), (raw, raws)]
    for _ in range(rounds):
        for side, results in sides:
            gc.collect()
            results.append(side())
        sides.reverse()
    return engines, raws


def in_turn(rounds: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run several sides in turn, each round begun by the next of them, as `alternate` does of two."""
    results: dict[str, list[T]] = {name: [] for name in sides}
    order = list(sides)
    for _ in range(rounds):
        for name in order:
            gc.collect()
            results[name].append(sides[name]())
        order.append(order.pop(0))
    return results


async def _install(url: str) -> None:
    async with Backburner(url, run=False):
        pass
