"""Who this node is."""

from __future__ import annotations

import os
import re
import secrets
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Identity"]


class Identity:
    """The node's id, ``host-pid-random``; a node that lost its lease goes on under a new one.

    What it held until then stays the old one's in the store: the ends of such claims are written under that.
    """

    __slots__ = ("_former", "host", "id", "pid")

    def __init__(self) -> None:
        # A store may use the id as a file name.
        self.host = re.sub(r"[^A-Za-z0-9._]", "_", socket.gethostname())[:64] or "host"
        self.pid = os.getpid()
        self.id = ""
        #: Job and token of what is held under a former id.
        self._former: dict[tuple[str, int], str] = {}
        self.renew()

    def renew(self, held: Iterable[tuple[str, int]] = ()) -> None:
        """Take a new id; ``held``, jobs and tokens, are still the old one's."""
        self._former = {claim: self._former.get(claim, self.id) for claim in held}
        self.id = f"{self.host}-{self.pid}-{secrets.token_hex(4)}"

    @property
    def renewed(self) -> bool:
        """Whether anything is still held under a former id."""
        return bool(self._former)

    def holder(self, job_id: str, token: int) -> str:
        """Return the id under which a claim is held."""
        return self._former.get((job_id, token), self.id) if self._former else self.id

    def assign(self, job_id: str, token: int, node: str) -> None:
        """Know under which id a claim was made: the one of a late answer may be former by now."""
        if node != self.id:
            self._former[job_id, token] = node

    def retain(self, held: Iterable[tuple[str, int]]) -> None:
        """Forget under which id anything else than this was held, by job and token."""
        self._former = {claim: self._former[claim] for claim in held if claim in self._former}
