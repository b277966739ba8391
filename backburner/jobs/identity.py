"""Who this node is."""

from __future__ import annotations

import os
import re
import secrets
import socket

__all__ = ["Identity"]


class Identity:
    """The node's id, ``host-pid-random``; a node that lost its lease goes on under a new one."""

    __slots__ = ("host", "id", "pid")

    def __init__(self) -> None:
        # A store may use the id as a file name.
        self.host = re.sub(r"[^A-Za-z0-9._]", "_", socket.gethostname())[:64] or "host"
        self.pid = os.getpid()
        self.id = ""
        self.renew()

    def renew(self) -> None:
        """Take a new id."""
        self.id = f"{self.host}-{self.pid}-{secrets.token_hex(4)}"
