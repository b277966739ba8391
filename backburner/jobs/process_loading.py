"""Whether this process is a child, and imports a job's module at this moment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from backburner.errors import NotInThisProcess

if TYPE_CHECKING:
    from collections.abc import Generator

    from backburner.jobs.process_place import Place

__all__ = ["become_child", "loading", "refuse_in_child", "refuse_while_loading"]

_places: list[Place] = []
_child: list[bool] = []


def become_child() -> None:
    """Know that this process runs process jobs, and nothing else."""
    _child.append(True)


def refuse_in_child() -> None:
    """Raise `NotInThisProcess` where a process job asks for the engine, which runs in the process that started this."""
    if _child:
        raise NotInThisProcess(
            "a process job runs in a process of its own, without its engine: store by bb.blocking.create_task(…) or "
            "current_job().then(…), open what it needs by Provide(…)"
        )


@contextmanager
def loading(place: Place) -> Generator[None]:
    """Import a job's module within the block."""
    _places.append(place)
    try:
        yield
    finally:
        _places.pop()


def refuse_while_loading() -> None:
    """Raise `NotInThisProcess` when an engine is started by a module that is imported only to find a job in it."""
    if _places:
        place = _places[-1]
        raise NotInThisProcess(
            f"importing {place.file or place.module} for the process job {place.kind} starts an engine: write what starts "
            'it under `if __name__ == "__main__":`'
        )
