"""Whole jobs on their way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import image_flaw
from backburner.backends.keys import held_key
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.opening import open_where
from backburner.backends.sqlite.statements import load
from backburner.errors import StoreRefused
from backburner.ports.jobs import Restored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.model.job import JobImage

__all__ = ["restore"]

_KNOWN = load("known")
_KEEPERS = load("keepers")
_RESTORE = load("restore")
_RESTORE_ATTEMPTS = load("restore_attempts")
_UNLIFT = load("unlift")

_decode_known = msgspec.json.Decoder(list[tuple[str, object, object, object, object, object]]).decode
_decode_holders = msgspec.json.Decoder(dict[str, str]).decode


def restore(connection: sqlite3.Connection, images: Sequence[JobImage], now: int) -> Restored:
    """Store whole jobs; raises `StoreRefused` before any is stored."""
    for image in images:
        flaw = image_flaw(image)
        if flaw is not None:
            job_id = image.record.id
            raise StoreRefused(f"Job {job_id!r} cannot be restored: {flaw}", stored="no", job_id=job_id)
    (found,) = connection.execute(_KNOWN, {"ids": to_json([image.record.id for image in images])}).fetchone()
    stored = {job_id for job_id, *_ in _decode_known(found)}
    held = _find_holders(connection, images, now)
    #: Who holds keys from this step on.
    taken: dict[str, str] = {}
    known: list[str] = []
    holders: dict[str, str] = {}
    kept: list[JobImage] = []
    for image in images:
        job_id, key = image.record.id, held_key(image, now)
        if job_id in stored:
            known.append(job_id)
        elif key is not None and (holder := held.get(job_id) or taken.get(key)) is not None:
            holders[job_id] = holder
        else:
            stored.add(job_id)
            kept.append(image)
            if key is not None:
                taken[key] = job_id
    if kept:
        _write(connection, kept, now)
    return Restored(now=now, known=tuple(known), holders=holders)


def _find_holders(connection: sqlite3.Connection, images: Sequence[JobImage], now: int) -> dict[str, str]:
    asked = [(image.record.id, key) for image in images if (key := held_key(image, now)) is not None]
    if not asked:
        return {}
    (found,) = connection.execute(_KEEPERS, {"jobs": to_json(asked), "now": now}).fetchone()
    return _decode_holders(found)


def _write(connection: sqlite3.Connection, images: Sequence[JobImage], now: int) -> None:
    connection.execute(_RESTORE, {"jobs": to_json([_row(image) for image in images])})
    attempts = [
        (
            *(image.record.id, each.attempt, each.ending, each.node, each.started_at, each.ended_at),
            *(each.error, each.message, each.fingerprint, each.traceback),
        )
        for image in images
        for each in image.history
    ]
    if attempts:
        connection.execute(_RESTORE_ATTEMPTS, {"attempts": to_json(attempts)})
    open_where(connection, {image.record.gate for image in images}, now)
    parents = {image.record.parent for image in images} - {None}
    if parents:
        connection.execute(_UNLIFT, {"ids": to_json([*parents])})


def _row(image: JobImage) -> tuple[object, ...]:
    record = msgspec.structs.astuple(image.record)
    if image.record.unique is None:
        return record
    return (*record, image.unique_states, image.unique_until)
