"""A child of an engine: runs its process jobs. Started by `processes`, never by hand."""

from __future__ import annotations

import socket
import sys

from backburner.jobs.child_guard import die_with, mind_signals
from backburner.jobs.child_pipe import Pipe
from backburner.jobs.child_work import Child
from backburner.jobs.process_loading import become_child


def main() -> None:
    """Work for the engine at the other end of a socket; arguments: the socket, the lifeline, the engine's process."""
    connection, lifeline, parent = map(int, sys.argv[1:])
    become_child()
    mind_signals()
    die_with(parent, lifeline)
    Child(Pipe(socket.socket(fileno=connection))).work()


if __name__ == "__main__":
    main()
