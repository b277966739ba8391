"""The version of what stands under the keys. There are no steps: a newer backburner reads what an older one wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import SchemaTooNew, StoreCorrupt, StoreMissing
from backburner.ports.backend import SchemaState

if TYPE_CHECKING:
    from backburner.backends.redis.session import Session
    from backburner.ports.backend import Migration

__all__ = ["RedisSchema"]

#: Raised with a change that an older backburner would not understand.
_FORMAT = 1
_FIELD = "format"


class RedisSchema:
    """A `Schema` without steps."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def steps(self) -> tuple[Migration, ...]:
        """There are none."""
        return ()

    @property
    def unattended(self) -> bool:
        """There is nothing to upgrade."""
        return True

    def grants(self, role: str) -> str | None:
        """Answer that this store has no SQL."""
        del role
        return None

    async def state(self) -> SchemaState:
        """Compare; raises `SchemaTooNew` for a store that this backburner cannot read."""
        found = await self._format()
        if found is not None and found > _FORMAT:
            raise SchemaTooNew(
                f"{self._session.place.address} has the format {found}, this backburner knows {_FORMAT}: upgrade it",
                stored="no",
            )
        return SchemaState(current=0, wanted=0, pending=())

    async def upgrade(self) -> SchemaState:
        """Compare: there is nothing to apply."""
        return await self.state()

    async def begin(self, *, create: bool) -> None:
        """See that a store is there, or make one; raises `StoreMissing` where there is none and none is to be made."""
        if await self._format() is not None:
            return
        if not create:
            raise StoreMissing(
                f"There is no store at {self._session.place.address}: `backburner db upgrade` makes one", stored="no"
            )
        await self._session.client.call("HSETNX", self._session.keys.meta, _FIELD, _FORMAT)

    async def _format(self) -> int | None:
        found: bytes | None = await self._session.client.call("HGET", self._session.keys.meta, _FIELD)
        if found is not None and not found.isdigit():
            raise StoreCorrupt(
                f"{self._session.place.address} holds something else under the keys of backburner: choose another "
                "?namespace=",
                stored="no",
            )
        return None if found is None else int(found)
