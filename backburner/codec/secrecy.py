"""What one signature hides: of arguments, of results, and in what is said of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.codec.annotations import NOTHING
from backburner.codec.marks import Marks, marked_like, masked, secrets_in, unmarked
from backburner.codec.payloads import UNFIT, write
from backburner.codec.places import Place, places_of, places_of_type
from backburner.codec.scrubber import Scrubber
from backburner.codec.secret import STARS
from backburner.codec.values import children

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from backburner.codec.annotations import Annotation

__all__ = ["Secrecy", "hidden", "secrecy_of"]


class Secrecy:
    """How a signature's secrets are marked where they are stored, and left out where values are told of."""

    def __init__(self, arguments: Marks, result: Marks, saved: Marks, whole: frozenset[str]) -> None:
        self.arguments = arguments
        self.result = result
        #: Of checkpoints, which nothing annotates.
        self.saved = saved
        #: The parameters that are secret as a whole.
        self.whole = whole

    def scrubber(self, value: object) -> Scrubber:
        """Return what cleans texts about a value that may be no JSON: of all that it holds, for once."""
        return Scrubber(_atoms(value))

    def secrets(self, args: str) -> Scrubber:
        """Return what cleans texts about a run with these stored arguments, of before they were marked too."""
        try:
            plain = unmarked(args)
            return Scrubber([*secrets_in(args), *secrets_in(self.arguments.mark(plain))])
        except UNFIT:  # broken: what can be found in it has been
            return Scrubber(secrets_in(args))

    def marked(self, args: str) -> str:
        """Return stored arguments with these secrets marked beside those that are."""
        anew = self.arguments.mark(unmarked(args))
        return bytes(marked_like(msgspec.Raw(anew.encode()), msgspec.Raw(args.encode()))).decode()

    def shown(self, bound: Mapping[str, object]) -> Mapping[str, str]:
        """Return how arguments may be shown: as Python, or as JSON where a part of one is hidden."""
        return {name: self._shown(name, value) for name, value in bound.items()}

    def _shown(self, name: str, value: object) -> str:
        if name in self.whole:
            return STARS
        try:
            plain = write({name: value}).decode()
            stored = self.arguments.mark(plain)
        except UNFIT:
            return STARS  # what is in it cannot be told
        return masked(stored)[len(write(name)) + 2 : -1] if secrets_in(stored) else repr(value)


def secrecy_of(
    annotations: Mapping[str, Annotation], parameters: tuple[str, ...], named: frozenset[str]
) -> Secrecy | None:
    """Return what is hidden by annotations, and by names (`Marks`); None where that is nothing."""
    places = {name: places_of(annotations[name]) for name in parameters}
    result = places_of(annotations.get("return", NOTHING))
    if not named and not result and not any(places.values()):
        return None
    fields = {name: nodes for name, nodes in places.items() if nodes}
    # A path begins at the arguments' top.
    anywhere = [name for name in named if "." not in name]
    return Secrecy(
        Marks((Place(fields=fields),) if fields else (), named),
        Marks(result, anywhere),
        Marks((), anywhere),
        frozenset(name for name in parameters if name in named or any(place.whole for place in places[name])),
    )


def hidden(text: str, named: Iterable[str] = (), kind: object = Any) -> str:
    """Return plain JSON text with ``***`` for good in place of secrets: for what is told to others, such as events.

    They are what ``kind``, the type of what the text is of, says, and what is named (`Marks`). Raises `RecursionError`.
    """
    return masked(_marks_of(kind, frozenset(named)).mark(text))


@lru_cache(maxsize=1024)
def _marks_of(kind: object, named: frozenset[str]) -> Marks:
    return Marks(places_of_type(kind), named)


def _atoms(value: object, depth: int = 50) -> Iterator[object]:
    """Yield what a value is made of; of what contains itself, down to a depth."""
    if depth == 0:
        return
    parts = [part for _, part in children(value)]
    if not parts:
        yield value
    for part in parts:
        yield from _atoms(part, depth - 1)
