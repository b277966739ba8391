"""Making an event of the engine's own: its name, and the fields that the catalogue gives it."""

from __future__ import annotations

import msgspec

from backburner.model.catalogue import BUILT_IN
from backburner.model.event import NewEvent

__all__ = ["tell"]

_encode = msgspec.json.Encoder().encode


def tell(name: str, subject: str, /, **fields: object) -> NewEvent:
    """Return an event of the catalogue; fields that are None are left out. Its moments are datetimes, its lengths seconds."""
    entry = BUILT_IN[name]
    data = {field: value for field, value in fields.items() if value is not None}
    strange = data.keys() - set(entry.fields)
    if strange:
        raise KeyError(f"{name} has no field {min(strange)!r}")
    return NewEvent(name=name, subject=subject, data=_encode(data).decode(), kept=entry.kept)
