"""Unique keys: who holds them, and who is let through once they come free."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backburner.backends.sqlite.steps import Steps
    from backburner.model.job import NewJob

__all__ = ["Gates", "find_holders", "free_keys", "let_through"]

_KEEPERS = load("keepers")
_ANYBODY = load("anybody")
_KEYS = load("keys")
_FREED = load("freed")
_LET_IN = load("let_in")
_GATES_OF_KEYS = load("gates_of_keys")

#: Gates that one release looks at; it must not hold the writer for long.
_WINDOW = 1000

_decode_holders = msgspec.json.Decoder(dict[str, str]).decode
_decode_keys = msgspec.json.Decoder(list[str]).decode
_decode_freed = msgspec.json.Decoder(list[tuple[str, int]]).decode


def find_holders(jobs: Iterable[NewJob], now: int) -> Steps[dict[str, str]]:
    """Return who holds the keys of jobs, by the jobs' ids; those whose keys are free, or that have none, are left out."""
    asked = [(job.id, job.unique.key) for job in jobs if job.unique is not None]
    if not asked:
        return {}
    (found,) = yield _KEEPERS, {"jobs": to_json(asked), "now": now}
    return _decode_holders(found)


def let_through(ids: Iterable[str], now: int) -> Steps[int]:
    """Let through who waits for a key that one of these jobs had, where it is free now; return how many.

    Where nobody waits for any key, which is nearly always so, that is one probe.
    """
    waiting, _ = yield _ANYBODY, {}
    return (yield from free_keys(ids, now)) if waiting else 0


def free_keys(ids: Iterable[str], now: int) -> Steps[int]:
    """Let through who waits for a key that one of these jobs had, where it is free now; return how many."""
    (keys,) = yield _KEYS, {"ids": to_json(tuple(ids))}
    (found,) = yield _FREED, {"keys": keys, "now": now}
    freed = _decode_freed(found)
    yield from _let_in(freed)
    return len(freed)


class Gates:
    """The gates of unique keys, gone through from where the last release ended."""

    def __init__(self) -> None:
        self._after = ""

    def release(self, limit: int, now: int) -> Steps[int]:
        """Let the first through at each gate whose key is free, at most ``limit``; return how many."""
        keys = yield from _standing(self._after, _WINDOW)
        if self._after and len(keys) < _WINDOW:
            rest = yield from _standing("", _WINDOW - len(keys))
            keys = list(dict.fromkeys(keys + rest))
        self._after = keys[-1] if len(keys) == _WINDOW else ""
        if not keys:
            return 0
        (found,) = yield _FREED, {"keys": to_json(keys), "now": now}
        freed = _decode_freed(found)
        if len(freed) > limit:
            freed = freed[: max(0, limit)]
            self._after = freed[-1][0] if freed else ""
        yield from _let_in(freed)
        return len(freed)


def _standing(after: str, limit: int) -> Steps[list[str]]:
    (keys,) = yield _GATES_OF_KEYS, {"after": after, "limit": limit}
    return _decode_keys(keys)


def _let_in(freed: Sequence[tuple[str, int]]) -> Steps[None]:
    if freed:
        yield _LET_IN, {"seqs": to_json([seq for _, seq in freed])}
