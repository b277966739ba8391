"""Hints, in PostgreSQL: LISTEN and NOTIFY, and a look now and then for what they miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.postgres.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.backends.postgres.session import Session
    from backburner.ports.backend import Hint

__all__ = ["PostgresNotifier"]


class PostgresNotifier:
    """A `Notifier`. Listeners are called on the loop that the backend was opened on."""

    __slots__ = ("_listeners", "_session", "_watch")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._listeners: dict[object, Callable[[Hint], None]] = {}
        self._watch: Watch | None = None

    async def notify(self, hint: Hint) -> None:
        """Tell this backend's listeners now, and the others by a statement of its own."""
        session = self._session
        # Only who may write tells others.
        _ = session.runs
        self._tell(hint)
        ears = None if self._watch is None else self._watch.ears
        await (ears or session.reads).value(session.statement("notify"), session.place.schema, hint.value)

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` for each hint on the running loop; returns the end."""
        if self._watch is None:
            self._watch = Watch(self._session, self._tell)
            self._watch.start()
        ear = object()
        self._listeners[ear] = heard

        def end() -> None:
            self._listeners.pop(ear, None)

        return end

    async def close(self) -> None:
        """Forget who listens, and disconnect."""
        self._listeners.clear()
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.stop()

    def _tell(self, *hints: Hint) -> None:
        for heard in tuple(self._listeners.values()):
            for hint in hints:
                heard(hint)
