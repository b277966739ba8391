"""Dead letters out of a file, into a store: all of it checked before any of it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from backburner.dlq.letterfile import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from backburner.model.job import JobImage
    from backburner.ports.jobs import JobAdmin

__all__ = ["Imported", "checked", "store"]

#: Bytes that are read, and stored, at once, about; and jobs at most.
_SIZE: Final = 4_000_000
_PORTION: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of the letters of a file."""

    #: How many the file has, and how many of them were stored.
    found: int
    stored: int
    #: How many were there before, and were left as they are.
    known: int
    #: Letters that were not stored, since another job holds the unique key they would hold: each with that job's id.
    holders: dict[str, str]


async def checked(path: Path, flaw: Callable[[JobImage], str | None]) -> None:
    """Read a file to its end; raises `LetterFileRefused` for its first flaw, and `OSError`."""
    async for _ in _portions(path, flaw):
        pass


async def store(
    admin: JobAdmin, path: Path, flaw: Callable[[JobImage], str | None], seen: Callable[[int], None]
) -> Imported:
    """Store the letters of a file that was checked; ``seen`` hears how many have been looked at.

    Repeated, also after it was cut short, it stores what is missing: letters that are known are left as they are.
    """
    found = known = 0
    holders: dict[str, str] = {}
    async for portion in _portions(path, flaw):
        answer = await admin.restore(portion)
        found += len(portion)
        known += len(answer.known)
        holders |= answer.holders
        seen(len(portion))
    return Imported(found=found, stored=found - known - len(holders), known=known, holders=holders)


async def _portions(path: Path, flaw: Callable[[JobImage], str | None]) -> AsyncIterator[list[JobImage]]:
    """Read a file by whole lines, off the loop."""
    reader = Reader(flaw)
    async with await anyio.open_file(path, "rb") as file:
        while lines := await to_thread.run_sync(file.wrapped.readlines, _SIZE):
            images = [image for line in lines if (image := reader.read(line)) is not None]
            for start in range(0, len(images), _PORTION):
                yield images[start : start + _PORTION]
    reader.close()
