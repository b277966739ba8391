"""Everything the engine tells reaches everybody who listens, and what one of them raises hurts nobody."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager

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
            return _shielded(name, method, args)

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


@contextmanager
def _shielded(
    name: str, method: Callable[..., AbstractContextManager[object]], args: tuple[object, ...]
) -> Generator[None]:
    """Surround by a manager that may fail, and may not swallow what the body raises."""
    try:
        manager = method(*args)
        manager.__enter__()
    except Exception:
        _logger.exception(_RAISED, name)
        yield
        return
    try:
        yield
    except BaseException as error:
        _leave(name, manager, error)
        raise
    _leave(name, manager, None)


def _leave(name: str, manager: AbstractContextManager[object], error: BaseException | None) -> None:
    try:
        manager.__exit__(*((None, None, None) if error is None else (type(error), error, error.__traceback__)))
    except Exception as raised:
        if raised is not error:
            _logger.exception(_RAISED, name)
