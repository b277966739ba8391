"""Names that are completed from the store, as far as it answers while somebody waits at a prompt, and they need no quotes."""

from __future__ import annotations

import os
import re
import threading
from contextlib import redirect_stderr, suppress
from io import StringIO
from typing import TYPE_CHECKING

# What else it takes is imported when a name is completed.
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import click

    from backburner.ports.backend import Backend

__all__ = ["kinds", "queues", "schedules"]

#: Seconds that a store has to answer.
_PATIENCE = 0.3
#: Schedules that are read.
_READ = 200
#: What every shell takes as it stands: bash puts a name into the line without quotes, and would do what ``$(…)`` says.
_PLAIN = re.compile(r"[\w@%+:,./][\w@%+=:,./-]*")


def _names(find: Callable[[Backend], Awaitable[set[str]]]) -> Callable[..., list[str]]:
    """Return what click asks for the names that a store has; it answers none rather than fail or be late."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        # Whatever it is that goes wrong, at a prompt it is nobody's business.
        with redirect_stderr(StringIO()), suppress(Exception):
            found = _ask(ctx.params.get("url"), find)
            return sorted(name for name in found if name.startswith(incomplete) and _PLAIN.fullmatch(name))
        return []

    return complete


def _ask(url: str | None, find: Callable[[Backend], Awaitable[set[str]]]) -> set[str]:
    import asyncio  # noqa: PLC0415

    from backburner.cli.store import unopened  # noqa: PLC0415

    if url == "-":
        return set()
    backend = unopened(url)
    found = set[str]()

    async def ask() -> None:
        try:
            await backend.open(create=False, write=False)
            found.update(await find(backend))
        finally:
            await backend.close()

    def run() -> None:
        with suppress(Exception):
            asyncio.run(ask())

    # A thread of its own: a look-up of a host's name cannot be cancelled.
    asking = threading.Thread(target=run, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    if asking.is_alive():
        # The end of the program would wait for it.
        os._exit(0)
    return found


async def _kinds(backend: Backend) -> set[str]:
    from backburner.cli.names import kind_names  # noqa: PLC0415

    return await kind_names(backend)


async def _queues(backend: Backend) -> set[str]:
    from backburner.cli.names import queue_names  # noqa: PLC0415

    return await queue_names(backend)


async def _schedules(backend: Backend) -> set[str]:
    return {schedule.name for schedule in (await backend.schedule_reader.find(limit=_READ)).schedules}


#: For ``shell_complete`` of options and arguments.
kinds, queues, schedules = _names(_kinds), _names(_queues), _names(_schedules)
