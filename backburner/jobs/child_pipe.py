"""In a child: its end of the socket to the engine."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from backburner import errors
from backburner.jobs.child_guard import end_group
from backburner.jobs.frames import Answer, Inbox, Load, Stop, Work, from_engine, pack

if TYPE_CHECKING:
    import socket

    from backburner.jobs.frames import Checkpoint, FromChild, Then

__all__ = ["Pipe"]

_CHUNK = 256 * 1024
#: Seconds for an idle child to end once the engine has hung up: for what was registered with `atexit`.
_LEAVE = 2.0


class Pipe:
    """Reads in a thread of its own, so that a run is told to stop while it runs; any thread may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        #: What to do next; None is the end.
        self.orders: SimpleQueue[Load | Work | None] = SimpleQueue()
        #: The run that is asked to end.
        self.stopping = ""
        #: Whether a run is under way.
        self.busy = False
        connection.set_inheritable(False)
        # A process that a job forks would hold the socket open, and could write to it.
        os.register_at_fork(after_in_child=connection.close)
        threading.Thread(target=self._read, name="backburner-child", daemon=True).start()

    def send(self, frame: FromChild) -> None:
        """Send a frame, whole."""
        data = pack(frame)
        with self._sending:
            self._connection.sendall(data)

    def ask(self, frame: Checkpoint | Then) -> None:
        """Send a frame and wait for its answer; raises what the engine refused it with."""
        with self._asking:
            self.send(frame)
            refusal = self._answers.get().refusal
        if refusal is not None:
            kind = getattr(errors, refusal.name, errors.BackburnerError)
            raise kind(refusal.message)

    def _read(self) -> None:
        inbox = Inbox(from_engine)
        while data := self._receive():
            for frame in inbox.feed(data):
                if isinstance(frame, Answer):
                    self._answers.put(frame)
                elif isinstance(frame, Stop):
                    self.stopping = frame.id
                else:
                    self.busy = isinstance(frame, Work)
                    self.orders.put(frame)
        if not self.busy:
            self.orders.put(None)
            threading.Event().wait(_LEAVE)
        end_group()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_CHUNK)
        except OSError:  # the engine's process died with data on the way to it
            return b""
