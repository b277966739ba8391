"""What a server says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.errors import StoreReadOnly, StoreUnsupported

if TYPE_CHECKING:
    from backburner.backends.redis.client import Client

__all__ = ["Server"]

#: The oldest that has every command the scripts need.
_OLDEST = (6, 2)


@dataclass(frozen=True, slots=True)
class Server:
    """The fields of INFO."""

    fields: dict[str, str]

    @classmethod
    async def ask(cls, client: Client) -> Server:
        """Ask the primary."""
        text: bytes = await client.call("INFO")
        lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines() if ":" in line)
        return cls({name: value for name, _, value in lines})

    def check(self, where: str, *, write: bool) -> None:
        """Raise `StoreUnsupported` for one that is too old, `StoreReadOnly` for a replica that is to be written to."""
        if self.version < _OLDEST:
            raise StoreUnsupported(
                f"{where} is {self.name}: backburner takes Redis 6.2 or newer, or Valkey: upgrade the server",
                stored="no",
            )
        if write and self.is_replica:
            raise StoreReadOnly(
                f"{where} is a replica of {self.primary}: name that one in the URL, or let redis+sentinel:// find it",
                stored="no",
            )

    @property
    def name(self) -> str:
        """The software and its version."""
        if self.fields.get("server_name") == "valkey":
            return f"Valkey {self.fields.get('valkey_version', '')}"
        return f"Redis {self.fields.get('redis_version', 'of an unknown version')}"

    @property
    def version(self) -> tuple[int, ...]:
        """The version of Redis that its commands are those of."""
        parts = self.fields.get("redis_version", "").split(".")
        return tuple(int(part) for part in parts if part.isdecimal())

    @property
    def is_replica(self) -> bool:
        """Whether it follows another."""
        return self.fields.get("role") == "slave"

    @property
    def primary(self) -> str:
        """Whom it follows."""
        return f"{self.fields.get('master_host')}:{self.fields.get('master_port')}"

    @property
    def keeps(self) -> bool:
        """Whether it writes every change to its append-only file."""
        return self.fields.get("aof_enabled") == "1"

    @property
    def evicts(self) -> str:
        """By which policy it throws keys away when its memory is full; empty if it never does."""
        policy = self.fields.get("maxmemory_policy", "noeviction")
        return "" if policy == "noeviction" or policy.startswith("volatile-") else policy

    def number(self, name: str) -> int:
        """Return a field that is a number; 0 where it is not there."""
        value = self.fields.get(name, "")
        return int(value) if value.lstrip("-").isdecimal() else 0
