"""One id from a request into its jobs and their children, so that one search finds all of their logs."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid4

import msgspec

from backburner.errors import InvalidOption
from backburner.model.job import CORRELATION_HEADER
from backburner.ports.telemetry import Telemetry

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
    from contextlib import AbstractContextManager

    from backburner.model.job import Claim

__all__ = [
    "CORRELATION_HEADER",
    "Correlation",
    "CorrelationId",
    "correlated",
    "correlation_filter",
    "correlation_id",
    "uncorrelated",
]

#: What apps call the id that they have bound in structlog's context themselves, the likelier first.
_BOUND = (CORRELATION_HEADER, "request_id")
#: What is taken from outside: it ends up in logs, in other systems' headers and beside every job. It fits UUIDs, ULIDs,
#: base64 and ``Root=1-67891233-abcdef012345678912345678``.
_PATTERN = re.compile(r"[A-Za-z0-9._~:;,=+/@|#-]{1,128}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: A text that the headers of every job with an id hold, and hardly any others: looking for it is cheaper than decoding.
_MARK = f'"{CORRELATION_HEADER}"'

_current: ContextVar[str | None] = ContextVar("backburner_correlation_id", default=None)
_decode = msgspec.json.Decoder(dict[str, str]).decode

if TYPE_CHECKING:
    _Message: TypeAlias = MutableMapping[str, Any]
    _Receive: TypeAlias = Callable[[], Awaitable[_Message]]
    _Send: TypeAlias = Callable[[_Message], Awaitable[None]]
    _App: TypeAlias = Callable[[_Message, _Receive, _Send], Awaitable[None]]


def correlation_id() -> str | None:
    """Return the id that this code works under; None: none.

    One that the app has bound in structlog's context, as ``correlation_id`` or ``request_id``, counts too.
    """
    return _current.get() or _bound()


@contextmanager
def correlated(id: str | None = None) -> Generator[str]:
    """Work under an id, a new one if none is given: jobs stored in the block carry it, and structlog shows it.

    An id is up to 128 letters, digits and ``._~:;,=+/@|#-``. Raises `InvalidOption` for another.
    """
    if id is None:
        id = uuid4().hex
    elif not _PATTERN.fullmatch(id):
        raise InvalidOption(f"{id!r} is no correlation id: 1 to 128 letters, digits and ._~:;,=+/@|#-", option="id")
    with _under(id):
        yield id


@contextmanager
def uncorrelated() -> Generator[None]:
    """Work under no id: what is made here and outlives the caller is not the caller's."""
    structlog = sys.modules.get("structlog")
    bound: Mapping[str, Any] = {}
    if structlog is not None:
        known = structlog.contextvars.get_contextvars()
        bound = {name: known[name] for name in _BOUND if name in known}
        structlog.contextvars.unbind_contextvars(*bound)
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
        if structlog is not None:
            structlog.contextvars.bind_contextvars(**bound)


@contextmanager
def _under(correlation: str) -> Generator[None]:
    # Whoever has something in structlog's context has imported it: 100 ms that others need not pay.
    structlog = sys.modules.get("structlog")
    bound: Mapping[str, Any] = {}
    if structlog is not None:
        bound = structlog.contextvars.bind_contextvars(**{CORRELATION_HEADER: correlation})
    token = _current.set(correlation)
    try:
        yield
    finally:
        _current.reset(token)
        if structlog is not None:
            structlog.contextvars.reset_contextvars(**bound)


def _bound() -> str | None:
    """Return what the app has bound in structlog's context, if that is fit to travel."""
    structlog = sys.modules.get("structlog")
    if structlog is None:
        return None
    bound: dict[str, object] = structlog.contextvars.get_contextvars()
    for name in _BOUND:
        value = bound.get(name)
        if isinstance(value, str | UUID) and _PATTERN.fullmatch(text := str(value)):
            return text
    return None


def correlation_filter(record: logging.LogRecord) -> bool:
    """Give a stdlib record its ``correlation_id``, "-" for none: ``handler.addFilter(correlation_filter)``."""
    record.correlation_id = correlation_id() or "-"
    return True


class Correlation(Telemetry):
    """Has jobs carry the id they were stored under, and works on it in their runs. Every engine has one."""

    def headers(self) -> Mapping[str, str]:
        """Return the id, where there is one."""
        found = correlation_id()
        return {} if found is None else {CORRELATION_HEADER: found}

    def carrying(self, claim: Claim) -> AbstractContextManager[object]:
        """Work under the id of the job; without one, under none, since its engine was made under none."""
        headers = claim.headers
        if headers is not None and _MARK in headers:
            carried = _decode(headers).get(CORRELATION_HEADER)
            # An app's own ``headers=`` may have said something else under this name.
            if carried is not None and _PATTERN.fullmatch(carried):
                return _under(carried)
        return nullcontext()


class CorrelationId:
    """ASGI middleware: takes a request's id from its header, or makes one, and answers it in the response.

    ``app.add_middleware(CorrelationId)`` in Starlette and FastAPI, ``CorrelationId(app)`` around any other. What the
    client sent is taken if it is fit to travel (see `correlated`), and else replaced. A response that has the header
    already keeps it. Raises `InvalidOption` for what is no header's name.
    """

    def __init__(self, app: _App, header: str = "x-request-id") -> None:
        if not _HEADER_NAME.fullmatch(header):
            raise InvalidOption(f"{header!r} is no name of a header: write one such as x-request-id", option="header")
        self._app = app
        self._name = header.lower().encode()

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one request or websocket under an id."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def answer(message: _Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
                if all(name.lower() != self._name for name, _ in headers):
                    message = {**message, "headers": [*headers, (self._name, correlation.encode())]}
            await send(message)

        with correlated(self._taken(scope)) as correlation:
            await self._app(scope, receive, answer)

    def _taken(self, scope: _Message) -> str | None:
        given = [value for name, value in scope["headers"] if name.lower() == self._name]
        if len(given) != 1:
            return None
        text = given[0].decode("latin-1")
        return text if _PATTERN.fullmatch(text) else None
