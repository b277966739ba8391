"""Just enough ASGI for a page that is read: an app in one method, mounted at its own path, with no framework needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

__all__ = ["Answer", "Receive", "Scope", "Send", "header", "respond"]

_TEXT = "text/plain; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD"})


class Answer(NamedTuple):
    """A page."""

    body: bytes
    type: str = _TEXT
    status: int = 200


async def respond(scope: Scope, send: Send, page: Callable[[], Awaitable[Answer]]) -> None:
    """Answer a GET or HEAD of the path that the app is mounted at with its page; anything else as HTTP has it."""
    if scope["type"] != "http":
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        return
    if not _is_here(scope):
        await _send(scope, send, Answer(b"Nothing is here: the page is where this app is mounted.\n", status=404))
    elif scope["method"] not in _METHODS:
        await _send(scope, send, Answer(b"This page can be read only.\n", status=405), (b"allow", b"GET, HEAD"))
    else:
        await _send(scope, send, await page())


def header(scope: Scope, name: bytes) -> str:
    """Return a request's header, by its name in lower case; several of one name are joined, none is empty."""
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)


def _is_here(scope: Scope) -> bool:
    """Tell whether the path is the app's own, below no mount or at one; a framework's route has judged that itself."""
    if "endpoint" in scope and "app_root_path" not in scope:
        return True
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if not path.startswith(root):
        # A proxy has taken the front of the path off, and the framework was told of it.
        root = root.removeprefix(scope.get("app_root_path", ""))
    return path.removeprefix(root) in {"", "/"}


async def _send(scope: Scope, send: Send, answer: Answer, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", answer.type.encode("latin-1")),
        (b"content-length", b"%d" % len(answer.body)),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
