"""The names of the keys. All of a namespace share one hash tag, so a cluster keeps them together on one node."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

__all__ = ["Keys"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace; what each holds says ``lua/tables.lua``, or the head of the scripts that alone use it."""

    namespace: str
    meta: bytes = field(init=False)
    asked: bytes = field(init=False)
    events: bytes = field(init=False)
    once: bytes = field(init=False)
    jobs: bytes = field(init=False)
    runs: bytes = field(init=False)
    line: bytes = field(init=False)
    waiting: bytes = field(init=False)
    holding: bytes = field(init=False)
    keeping: bytes = field(init=False)
    held: bytes = field(init=False)
    lent: bytes = field(init=False)
    expiring: bytes = field(init=False)
    ended: bytes = field(init=False)
    children: bytes = field(init=False)
    ids: bytes = field(init=False)
    history: bytes = field(init=False)
    nodes: bytes = field(init=False)
    leases: bytes = field(init=False)
    queues: bytes = field(init=False)
    kinds: bytes = field(init=False)
    parked: bytes = field(init=False)
    inside: bytes = field(init=False)
    dead: bytes = field(init=False)
    limits: bytes = field(init=False)
    meters: bytes = field(init=False)
    filling: bytes = field(init=False)
    opening: bytes = field(init=False)
    retrying: bytes = field(init=False)
    letters: bytes = field(init=False)
    cells: bytes = field(init=False)
    locks: bytes = field(init=False)
    lapsing: bytes = field(init=False)
    operations: bytes = field(init=False)
    acting: bytes = field(init=False)
    acted: bytes = field(init=False)
    schedules: bytes = field(init=False)
    named: bytes = field(init=False)
    coming: bytes = field(init=False)
    ticks: bytes = field(init=False)
    ledger: bytes = field(init=False)
    lines: bytes = field(init=False)
    aging: bytes = field(init=False)
    subscriptions: bytes = field(init=False)
    #: A channel, not a key.
    hints: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Name them all."""
        for key in fields(self)[1:]:
            object.__setattr__(self, key.name, f"{{{self.namespace}}}:{key.name}".encode())

    @property
    def logging(self) -> tuple[bytes, ...]:
        """The keys of ``lua/logging.lua``, the first of every script that includes it."""
        return self._up_to("once")

    @property
    def tables(self) -> tuple[bytes, ...]:
        """The keys of every script that includes ``lua/tables.lua``, in the order it names them in."""
        return self._up_to("letters")

    @property
    def locking(self) -> tuple[bytes, ...]:
        """The keys of ``lua/locking.lua``."""
        return self.locks, self.lapsing

    @property
    def operating(self) -> tuple[bytes, ...]:
        """The keys of ``lua/operating.lua``, the last of every script that includes it."""
        return self.operations, self.acting, self.acted

    @property
    def scheduling(self) -> tuple[bytes, ...]:
        """The keys of ``lua/scheduling.lua``, the last of every script that includes it."""
        return self.schedules, self.named, self.coming, self.ticks, self.ledger, self.lines, self.aging

    @property
    def everything(self) -> tuple[bytes, ...]:
        """All keys there are, those of `tables` first."""
        return self._up_to("subscriptions")

    def _up_to(self, last: str) -> tuple[bytes, ...]:
        names = [key.name for key in fields(self)]
        return tuple(getattr(self, name) for name in names[1 : names.index(last) + 1])
