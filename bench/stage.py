"""What every measure gets: which store, how much, how often, and where files may lie."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from backburner import Backburner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Stage", "Store", "alternate", "in_fresh_process"]

Store = Literal["sqlite", "memory"]
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One run of the bench."""

    store: Store
    rounds: int
    #: What every count is multiplied by: 1, or less for a quick look.
    scale: float
    directory: Path

    @property
    def on_file(self) -> bool:
        """Whether there is a driver underneath whose raw limit can be measured."""
        return self.store == "sqlite"

    def count(self, full: int) -> int:
        """Return a count at this run's scale."""
        return max(100, int(full * self.scale))

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Lend the file of a new, empty store with the engine's own schema; it is gone afterwards. Memory has no file."""
        with tempfile.TemporaryDirectory(dir=self.directory, prefix=f"{self.store}-") as directory:
            path = Path(directory, "jobs.db")
            if self.on_file:
                asyncio.run(_install(self.url(path)))
            yield path

    def url(self, path: Path) -> str:
        """Return the URL of the store in a file."""
        return f"sqlite:///{path}" if self.on_file else "memory://"


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


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new interpreter, whose memory and CPU are its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


async def _install(url: str) -> None:
    async with Backburner(url, run=False):
        pass
