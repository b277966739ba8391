"""What an operation is to do and how far it has come, as its record keeps it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from backburner.model.lane import Rate
from backburner.model.query import JobFilter

__all__ = [
    "FIRST",
    "IMPORT",
    "MANY",
    "NAMED",
    "PURGE",
    "REPLAY",
    "Mark",
    "Patch",
    "Phase",
    "Refusal",
    "State",
    "read",
    "written",
]

#: The actions that have something left to do.
REPLAY: Final = "replay"
PURGE: Final = "purge"
#: The action that is done when it is written down.
IMPORT: Final = "import"

#: Of more letters than `MANY`, so many are replayed first, and their first attempts are waited for.
FIRST: Final = 10
MANY: Final = 100

#: Letters whose refusal, or conflict, an operation tells one by one.
NAMED: Final = 20

#: What this code can carry on. It grows when a field comes that must not be overlooked, such as one of the filter.
_FORMAT: Final = 1


class Phase(StrEnum):
    """Where an operation stands."""

    #: The first ten are about to be replayed.
    FIRST = "first"
    #: They are; their first attempts are waited for.
    WAITING = "waiting"
    #: The rest is being replayed, or all is being purged.
    REST = "rest"
    #: Nothing is left to replay; first attempts are looked at for a while.
    WATCHING = "watching"
    ENDED = "ended"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A letter under the token it died with."""

    id: str
    token: int


class Patch(msgspec.Struct, frozen=True, array_like=True):
    """A value to be put into arguments: JSON text, at a dotted path such as ``url`` or ``user.id``."""

    path: str
    value: str


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """A letter that stays dead, and why."""

    id: str
    why: str


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The order, and below it how far it has been carried out. Frozen: a step makes the next one of it."""

    format: int = _FORMAT
    #: Which letters: dead before the operation began, so that none is taken twice when it dies again.
    where: JobFilter
    #: Named one by one instead, largest id first.
    ids: tuple[str, ...] = ()
    #: How many there were when it began.
    found: int
    #: Of an import, which is over when it is written: how many were stored, and how many were there before.
    stored: int = 0
    known: int = 0
    patches: tuple[Patch, ...] = ()
    #: Patched arguments are not checked against the signatures that nodes publish.
    unchecked: bool = False
    #: How many failures each may have, in place of its retry policy's.
    attempts: int | None = None
    #: None: as fast as it goes.
    pace: Rate | None = None
    #: It stops by itself once this share of the first attempts has failed.
    stop_at: float = 0.2

    phase: Phase = Phase.REST
    #: The letters not looked at yet have smaller ids; None before the first.
    after: str | None = None
    #: How many of them may still be taken; None is all.
    left: int | None = None
    #: All have been looked at.
    whole: bool = False
    #: Somebody's open transaction had them locked, or no living node could check them: they are tried again.
    busy: tuple[Mark, ...] = ()
    #: The store's now before which no further letter goes.
    next_at: int = 0
    #: Replayed letters whose first attempt has not ended, a sample; looked at at that moment of the store's.
    watched: tuple[Mark, ...] = ()
    looked_at: int = 0
    #: When watching ends, whatever is still to come.
    until: int = 0
    #: First attempts that have ended, of those that were watched.
    ok: int = 0
    failed: int = 0
    #: Letters that stay dead since their arguments could not be patched; the first of them say why.
    refused: int = 0
    refusals: tuple[Refusal, ...] = ()
    #: The first of the letters that stay dead since another job holds their unique key, or needs them: with that job.
    conflicts: dict[str, str] = {}
    #: Letters that stay dead since their parent has more dead children than go back with it.
    cut: int = 0
    #: Why it ended before its time; empty otherwise.
    stopped: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(State)


def written(state: State) -> str:
    """Return the JSON text."""
    return _encoder.encode(state).decode()


def read(text: str) -> State | None:
    """Return the state of a JSON text; None for what another version of this code has to carry on."""
    try:
        state = _decoder.decode(text)
    except msgspec.MsgspecError:
        return None
    return state if state.format == _FORMAT else None
