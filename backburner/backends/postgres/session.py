"""What the roles of one backend share while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.link import Link
from backburner.backends.postgres.statements import calling, load
from backburner.errors import StoreMissing, StoreReadOnly, StoreUnavailable, StoreUnsupported
from backburner.model.clock import SystemClock
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from backburner.backends.postgres.place import PostgresPlace
    from backburner.model.clock import Clock

__all__ = ["Session"]

_decode_look = msgspec.json.Decoder(tuple[bool, bool, str, str, str, str]).decode


class Session:
    """The connections of one backend.

    Three carry what is asked: ``intake`` takes jobs in and cancels, ``runs`` settles, claims and recovers, ``reads``
    reads. With a small pool some of them are one. The notifier and the keeper have their own.
    """

    def __init__(self, place: PostgresPlace, clock: Clock, timeout: float) -> None:
        self.place = place
        self.clock = clock
        self.timeout = timeout
        self._real = isinstance(clock, SystemClock)
        self._links: dict[str, Link] = {}
        self._writes = False
        #: What survives what; the server tells when the store is opened.
        self.durability = "as the server is set"

    @property
    def now(self) -> int | None:
        """The now that the store is to go by: its own (None), unless a test's clock was injected."""
        return None if self._real else self.clock.now()

    async def open(self, *, create: bool, write: bool) -> None:
        """Connect, and see that a store is there."""
        await self.close()
        self._writes = write
        self._links = self._make()
        try:
            await self._look(create=create, write=write)
        except BaseException:
            await self.close()
            raise

    async def _look(self, *, create: bool, write: bool) -> None:
        """See that a store is there, and that it can be written to."""
        where = self.place.address
        there, replica, commit, fsync, encoding, isolation = _decode_look(
            await self.reads.value(self.statement("look"), self.place.schema)
        )
        if encoding != "UTF8":
            raise StoreUnsupported(
                f"{where} is encoded in {encoding}, which cannot hold every text: make a database with `createdb -E UTF8`",
                stored="no",
            )
        if write and not isolation.startswith("read "):
            # Behind a pooler, which takes no settings of ours.
            raise StoreUnsupported(
                f"{where} begins transactions as {isolation.upper()}, which cannot see who holds a unique key: set "
                "default_transaction_isolation to 'read committed' for this user, by ALTER ROLE",
                stored="no",
            )
        if replica and write:
            raise StoreReadOnly(
                f"{where} is a replica, which takes no writes: name the primary in the URL", stored="no"
            )
        if not there and not (create and write):
            raise StoreMissing(f"There is no store at {where}: `backburner db upgrade` makes one", stored="no")
        self.durability = f"synchronous_commit={commit}" if fsync == "on" else f"fsync={fsync}"

    def _make(self) -> dict[str, Link]:
        """Make as many connections as the pool allows beside the keeper's and the notifier's."""
        names = ("intake", "runs", "reads")
        if not self._writes:
            return {"reads": Link(self.place, timeout=self.timeout, read_only=True)}
        count = self.place.pool_size - (2 if self.hears else 1)
        links = [Link(self.place, timeout=self.timeout) for _ in range(min(max(count, 1), len(names)))]
        # Of two, one is for runs alone.
        order = {1: (0, 0, 0), 2: (0, 1, 0), 3: (0, 1, 2)}[len(links)]
        return {name: links[index] for name, index in zip(names, order, strict=True)}

    @property
    def hears(self) -> bool:
        """Whether the notifier has a connection to listen on."""
        return self.place.listen and self.place.pool_size > 2  # noqa: PLR2004 - one for the keeper, one for all else

    async def close(self) -> None:
        """Disconnect; what runs is awaited, and a caller who is cancelled waits for that too."""
        links, self._links = self._links, {}
        for link in dict.fromkeys(links.values()):
            await to_the_end(link.close())

    @property
    def writes(self) -> bool:
        """Whether the store was opened for writing."""
        return self._writes

    @property
    def reads(self) -> Link:
        """The connection that reads; raises `StoreUnavailable` while closed."""
        return self._link("reads")

    @property
    def intake(self) -> Link:
        """The connection that takes jobs in and cancels; raises `StoreReadOnly` where the store was opened for reading."""
        return self._writer("intake")

    @property
    def runs(self) -> Link:
        """The connection that hands jobs out and settles them; raises `StoreReadOnly` as `intake` does."""
        return self._writer("runs")

    def another(self) -> Link:
        """Return a new connection that may write, for who must not wait for the others."""
        self._require_writing()
        return Link(self.place, timeout=self.timeout)

    def statement(self, name: str) -> str:
        """Return a statement of ``sql/``, for this store's schema."""
        return load(name, self.place.schema)

    async def call(self, link: Link, function: str, document: bytes) -> str:
        """Call a verb's function with a JSON document; return the one that it answers."""
        answer: str = await link.value(calling(function, self.place.schema), document.decode())
        return answer

    def _writer(self, name: str) -> Link:
        self._require_writing()
        return self._link(name)

    def _require_writing(self) -> None:
        _ = self.reads
        if not self._writes:
            raise StoreReadOnly(
                f"The store at {self.place.address} was opened for reading: open it with write=True", stored="no"
            )

    def _link(self, name: str) -> Link:
        link = self._links.get(name)
        if link is None:
            raise StoreUnavailable(
                f"The store at {self.place.address} is not open: await its open() first", stored="no"
            )
        return link
