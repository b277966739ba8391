"""What an engine and a child of it say to each other: length-prefixed msgpack, no pickle.

The engine loads a job's module, sends work, answers what a run asks and tells it to stop; the child tells of progress,
logs, asks, and ends each run by a result or an error. Four bytes of length, big-endian, stand before each frame.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

from backburner.jobs.process_place import Place
from backburner.jobs.process_report import Report
from backburner.model.job import NewJob

__all__ = [
    "Answer",
    "Checkpoint",
    "Error",
    "FromChild",
    "FromEngine",
    "Inbox",
    "Load",
    "Log",
    "LogLevel",
    "Progress",
    "Refusal",
    "Result",
    "Stop",
    "Then",
    "Work",
    "from_child",
    "from_engine",
    "pack",
    "sendable",
]

F = TypeVar("F")

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
_PREFIX = 4


# ---- from the engine -----------------------------------------------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Import a module and find a job in it."""

    place: Place
    #: The engine's ``sys.path`` and ``sys.argv``, in bytes: they may hold what is not UTF-8.
    path: list[bytes]
    argv: list[bytes]


class Work(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """One run of a job that was loaded."""

    place: Place
    id: str
    #: The kind under which it is stored: the job's, or an alias.
    kind: str
    queue: str
    attempt: int
    token: int
    #: JSON text.
    args: str
    headers: dict[str, str] = {}
    #: JSON text: what an earlier run saved.
    checkpoint: str | None = None
    #: Bytes: of the result, and of the arguments of a follow-up.
    result_limit: int
    argument_limit: int
    #: What the engine is told to mask, beside what is annotated so.
    secrets: list[str] = []


class Refusal(msgspec.Struct, frozen=True):
    """Why the engine refused what a run asked for: one of our errors, by its class's name."""

    name: str
    message: str


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to a `Checkpoint` or a `Then`."""

    refusal: Refusal | None = None


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Show a run that it is asked to end."""

    id: str


# ---- from the child ------------------------------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the run has come; not answered."""

    done: int
    total: int | None


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """Save this JSON text; answered once it is durable."""

    text: str


class Then(msgspec.Struct, frozen=True, tag="then"):
    """Store a follow-up when the run completes; answered at once."""

    job: NewJob


class Log(msgspec.Struct, frozen=True, tag="log"):
    """One line of the run's log."""

    level: LogLevel
    event: str
    fields: dict[str, Any]


class Result(msgspec.Struct, frozen=True, tag="result"):
    """The run returned; ``text`` is JSON. ``last``: the child is to take no more work."""

    text: str
    last: bool = False


class Error(msgspec.Struct, frozen=True, tag="error"):
    """The run raised."""

    report: Report
    last: bool = False


FromEngine = Load | Work | Answer | Stop
FromChild = Progress | Checkpoint | Then | Log | Result | Error

from_engine: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)
from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_encode = msgspec.msgpack.Encoder(enc_hook=repr).encode


def pack(frame: FromEngine | FromChild) -> bytes:
    """Return a frame as it is sent."""
    body = _encode(frame)
    return len(body).to_bytes(_PREFIX, "big") + body


def sendable(value: object) -> bool:
    """Return whether a value of somebody else's making can be part of a frame."""
    try:
        _encode(value)
    except Exception:  # noqa: BLE001 - a number too big, a lone surrogate, a __repr__ that raises
        return False
    return True


class Inbox(Generic[F]):
    """Puts frames together from what arrives."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[F]) -> None:
        self._decode = decoder.decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[F]:
        """Return the frames that are complete with these bytes."""
        buffer = self._buffer
        buffer += data
        frames: list[F] = []
        start = 0
        while len(buffer) - start >= _PREFIX:
            end = start + _PREFIX + int.from_bytes(buffer[start : start + _PREFIX], "big")
            if len(buffer) < end:
                break
            frames.append(self._decode(bytes(buffer[start + _PREFIX : end])))
            start = end
        del buffer[:start]
        return frames
