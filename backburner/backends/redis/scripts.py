"""The scripts: read from their files once, known to the server by their digests."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from backburner.errors import StoreReadOnly
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backburner.backends.redis.client import Client, Line
    from backburner.model.clock import Clock

__all__ = ["Scripts"]

_COMMENT = "--"
_INCLUDE = "-- include "


@cache
def _load(name: str) -> tuple[str, str]:
    """Return the text of ``lua/<name>.lua``, with the helpers that all share in front of it, and its digest."""
    text = "\n".join((*_lines("common"), *_lines(name)))
    # The server knows a script by this digest; it proves nothing.
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _lines(name: str) -> Iterator[str]:
    """Bring the lines of a file, those of what it includes in their place, without comments."""
    for line in files("backburner.backends.redis.lua").joinpath(f"{name}.lua").read_text("utf-8").splitlines():
        if line.startswith(_INCLUDE):
            yield from _lines(line.removeprefix(_INCLUDE))
        elif not line.lstrip().startswith(_COMMENT):
            yield line


class Scripts:
    """Runs scripts, each one unit of work.

    Every script is handed the time first: nothing, which stands for the server's own, or microseconds where the clock
    is not the machine's. What the machine's own clock says never reaches a script.
    """

    def __init__(self, client: Client, clock: Clock, *, write: bool) -> None:
        self._client = client
        self._clock = None if isinstance(clock, SystemClock) else clock
        self._write = write

    async def run(self, name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int] = ()) -> Any:  # noqa: ANN401 - whatever it answers
        """Run a script that writes; raises `StoreReadOnly` where the store was opened for reading."""
        if not self._write:
            raise StoreReadOnly(
                f"The store at {self._client.place.address} was opened for reading: open it with write=True",
                stored="no",
            )
        return await self.read(name, keys, args)

    async def read(self, name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int] = ()) -> Any:  # noqa: ANN401 - whatever it answers
        """Run a script that only reads."""
        text, digest = _load(name)
        command = ("EVALSHA", digest, len(keys), *keys, self.now, *args)

        async def work(line: Line) -> Any:  # noqa: ANN401 - whatever it answers
            try:
                return await line.call(*command)
            except NoScriptError:
                # A server that was started, or took over, since then; or one that was told to forget its scripts.
                await line.call("SCRIPT", "LOAD", text)
                return await line.call(*command)

        return await self._client.run(work)

    @property
    def now(self) -> str:
        """The time as scripts are handed it."""
        return "" if self._clock is None else str(self._clock.now())
