"""Everything the engine tells reaches everybody who listens, and what one of them raises hurts nobody."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from backburner.ports.telemetry import Hooks, Listener, Signal

__all__ = ["guard", "guarded"]

_logger = logging.getLogger("backburner.engine")
_RAISED = "what watches jobs raised in %s; the engine goes on"
_SURROUNDING = frozenset({"storing", "carrying", "running"})


def guarded(listener: Listener, hooks: Hooks) -> Listener:
    """Return what tells a listener, and every telemetry that hears signals; what they raise is told to the log."""

    def heard(signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        try:
            listener(signal, error=error, **fields)
        except Exception:
            _logger.exception("a listener raised on %s; the engine goes on", signal)
        for tell in hooks.signal:
            tell(signal, error, fields)

    return heard


def guard(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a telemetry's method that never raises, nor answers what cannot travel: the log is told of both."""
    if name in _SURROUNDING:

        def surround(*args: object) -> AbstractContextManager[None]:
            return _Shielded(name, method, args)

        return surround

    def call(*args: object) -> None:
        try:
            method(*args)
        except Exception:
            _logger.exception(_RAISED, name)

    def headers() -> Mapping[str, str]:
        try:
            answer: Mapping[str, str] = method()
            for header, value in answer.items():
                if type(header) is not str or type(value) is not str:
                    raise TypeError(f"headers are texts by name, not {answer!r}")  # noqa: TRY301 - told like all it raises
        except Exception:
            _logger.exception(_RAISED, name)
            return {}
        return answer

    return headers if name == "headers" else call


class _Shielded:
    """Surrounds by a manager that may fail, and may not swallow what the body raises."""

    __slots__ = ("_args", "_manager", "_method", "_name")

    def __init__(
        self, name: str, method: Callable[..., AbstractContextManager[object]], args: tuple[object, ...]
    ) -> None:
        self._name = name
        self._method = method
        self._args = args
        self._manager: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        try:
            manager = self._method(*self._args)
            manager.__enter__()
        except Exception:
            _logger.exception(_RAISED, self._name)
        else:
            self._manager = manager

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._manager is None:
            return
        try:
            self._manager.__exit__(kind, error, trace)
        except Exception as raised:
            if raised is not error:
                _logger.exception(_RAISED, self._name)
