"""Job ids: ULIDs (github.com/ulid/spec), 26 characters of Crockford's base 32, ordered by creation within a process."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backburner.model.clock import Clock

__all__ = ["Ids"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_COUNTER_BITS = 40
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5))


class Ids:
    """Makes ids: 10 characters of milliseconds, 8 of randomness drawn once a millisecond, 8 of a counter.

    Ids of one instance ascend strictly, also when the clock steps back: the claim order "priority, due, id" then keeps
    the order of creation. Two instances collide with a chance of 2⁻⁷⁵ or less a pair of ids in the same millisecond.
    """

    __slots__ = ("_clock", "_counter", "_millisecond", "_prefix")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._millisecond = -1
        self._counter = 0
        self._prefix = ""

    def new(self) -> str:
        """Return the next id."""
        millisecond = self._clock.now() // 1000
        if millisecond > self._millisecond or self._counter >= _COUNTER_MASK:
            self._start(max(millisecond, self._millisecond + 1))
        self._counter = counter = self._counter + 1
        pairs = _PAIRS
        return (
            f"{self._prefix}{pairs[counter >> 30]}{pairs[(counter >> 20) & 1023]}"
            f"{pairs[(counter >> 10) & 1023]}{pairs[counter & 1023]}"
        )

    @staticmethod
    def derived(created_at: int, *origin: str) -> str:
        """Return the id that these texts always have: at its front a moment in microseconds, then 80 bits of a hash."""
        digest = blake2b("\0".join(origin).encode("utf-8", "surrogatepass"), digest_size=10).digest()
        return _base32(created_at // 1000, 10) + _base32(int.from_bytes(digest, "big"), 16)

    @staticmethod
    def numbered(created_at: int, number: int, *origin: str) -> str:
        """Return the id that these texts have for a number: after its moment (microseconds) the number, then 40 bits of a hash.

        Of one moment, ids ascend with their numbers; numbers from 2⁴⁰ on begin anew.
        """
        digest = blake2b("\0".join(origin).encode("utf-8", "surrogatepass"), digest_size=5).digest()
        tail = _base32(number & _COUNTER_MASK, 8) + _base32(int.from_bytes(digest, "big"), 8)
        return _base32(created_at // 1000, 10) + tail

    def _start(self, millisecond: int) -> None:
        random = int.from_bytes(os.urandom(10), "big")
        self._millisecond = millisecond
        # Half the counter's range stays free above its random start, as the specification advises.
        self._counter = random & (_COUNTER_MASK >> 1)
        self._prefix = _base32(millisecond, 10) + _base32(random >> _COUNTER_BITS, 8)
