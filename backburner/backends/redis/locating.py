"""Finding the one primary that holds a namespace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot
from redis.exceptions import RedisError, ResponseError

from backburner.backends.redis.connecting import make
from backburner.backends.redis.failures import translate
from backburner.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.backends.redis.connecting import Wire
    from backburner.backends.redis.place import RedisPlace

__all__ = ["Locator"]

Address = tuple[str, int]


class Locator:
    """Asks sentinels, or any node of a cluster, for the primary; remembers it until told that it is not."""

    def __init__(self, place: RedisPlace, *, timeout: float) -> None:
        self._place = place
        self._timeout = timeout
        self._primary: Address | None = place.hosts[0] if place.kind == "single" else None
        #: Nodes of the cluster that were met, the last first: a seed may be gone for good.
        self._met: dict[Address, None] = {}

    async def find(self) -> Address:
        """Return where the primary is; raises `StoreUnavailable` where nobody knows."""
        if self._primary is None:
            found = await self._ask_around()
            self._met = {found: None} | self._met
            self._primary = found
        return self._primary

    def forget(self) -> None:
        """Ask again next time: what was found is gone, or is no primary any more."""
        if self._place.kind != "single":
            self._primary = None

    def moved(self, answer: str) -> bool:
        """Follow a cluster's "<slot> <host>:<port>"; False outside of one."""
        if self._place.kind != "cluster":
            return False
        host, _, port = answer.rpartition(" ")[2].rpartition(":")
        # Without a name it is the host that said so.
        here = self._place.hosts[0] if self._primary is None else self._primary
        self._primary = (host or here[0], int(port))
        return True

    async def _ask_around(self) -> Address:
        """Ask one after the other, and give each its share of the time."""
        place = self._place
        asked = [*dict.fromkeys((*(self._met if place.kind == "cluster" else ()), *place.hosts))]
        share = self._timeout / (len(asked) + 1)
        failed: Exception | None = None
        for host, port in asked:
            try:
                async with asyncio.timeout(share):
                    found = await self._ask(host, port)
            except (RedisError, OSError, TimeoutError) as error:
                failed = translate(error, f"{host}:{port}", timeout=share, stored="no")
            else:
                if found is not None:
                    return found
        raise StoreUnavailable(f"{place.address}: {self._nobody(failed)}", stored="no") from failed

    async def _ask(self, host: str, port: int) -> Address | None:
        sentinel = self._place.kind == "sentinel"
        wire = make(self._place, host, port, timeout=self._timeout, sentinel=sentinel)
        try:
            await wire.connect()
            if sentinel:
                return _named(await _call(wire, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._place.service))
            slot = key_slot(self._place.namespace.encode())
            return _owner(await _call(wire, "CLUSTER", "SLOTS"), slot, host)
        except ResponseError as error:
            if "cluster support disabled" in str(error):
                raise StoreUnavailable(
                    f"{host}:{port} is no node of a cluster: write redis:// in the URL", stored="no"
                ) from error
            raise
        finally:
            await wire.disconnect(nowait=True)

    def _nobody(self, failed: Exception | None) -> str:
        why = "" if failed is None else f" ({failed})"
        if self._place.kind == "sentinel":
            return f"no sentinel knows a primary named {self._place.service!r}{why}: see to the sentinels and the name"
        return f"no node of the cluster knows who serves the namespace {self._place.namespace!r}{why}: see to its nodes"


async def _call(wire: Wire, *command: str) -> Any:  # noqa: ANN401 - whatever Redis answers
    await wire.send_command(*command)
    return await wire.read_response()


def _named(answer: list[bytes] | None) -> Address | None:
    return None if answer is None else (answer[0].decode(), int(answer[1]))


def _owner(slots: Iterable[Any], slot: int, asked: str) -> Address | None:
    for first, last, primary, *_ in slots:
        if first <= slot <= last:
            host: bytes | None = primary[0]
            port: int = primary[1]
            # No name, or a question mark, stands for the host that was asked.
            name = (host or b"").decode()
            return (name if name not in {"", "?"} else asked, port)
    return None
