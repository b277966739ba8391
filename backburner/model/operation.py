"""Operations: long or careful work by a person, which outlives who asked for it."""

from __future__ import annotations

import msgspec

__all__ = ["OperationRecord"]


class OperationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A replay, a purge, an import: what it is to do and how far it has come; afterwards the audit of it."""

    id: str
    #: Such as ``replay``.
    action: str
    #: JSON text: the engine's own.
    state: str
    #: There is something left to do.
    active: bool = True
    #: Grows by one with every change, from 1.
    version: int = 1
    #: Counted by the store in the step that did it: letters done, letters kept since another job holds their unique
    #: key or needs them, letters that were no longer as they had been found.
    done: int = 0
    kept: int = 0
    missed: int = 0
    #: Who asked for it, and why.
    by: str | None = None
    reason: str | None = None
    #: Answered by the store, never written.
    created_at: int = 0
    changed_at: int = 0
