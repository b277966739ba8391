"""Hints, in SQLite: every commit is one to the other connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.backends.sqlite.statements import load
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteNotifier"]

_TOUCH = load("touch")


class SqliteNotifier:
    """A `Notifier`. Any commit tells the others that jobs or control may have changed; a lapse is written down."""

    __slots__ = ("_session", "_told")

    def __init__(self, session: Session) -> None:
        self._session = session
        #: The writer's count of changes after the last hint.
        self._told = 0

    async def notify(self, hint: Hint) -> None:
        """Tell this backend's listeners now; and the others by a commit, unless one since the last hint has."""
        writer = self._session.writer
        self._session.watch.tell(hint)
        if hint is Hint.LAPSE or self._told in {0, writer.changes}:
            await writer.run(lambda connection: connection.execute(_TOUCH, {"lapse": hint is Hint.LAPSE}).close())
        self._told = writer.changes

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` for each hint on the running loop; returns the end."""
        writer = self._session.writer
        end = self._session.watch.add(asyncio.get_running_loop(), heard)
        writer.wake()
        return end
