"""Letters as they go back: with patched arguments, another number of attempts, at the gate where they belong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backburner.codec.patching import check, patch
from backburner.dlq.state import Mark, Refusal
from backburner.errors import CallRefused, InvalidArguments, PayloadNotReadable
from backburner.model.job import SUSPECT_CRASHES, SUSPECT_GATE
from backburner.ports.jobs import Letter
from backburner.resilience.retry import POLICIES, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.dlq.state import Patch, State
    from backburner.errors import StoreRefused
    from backburner.model.job import JobRecord
    from backburner.ports.nodes import NodeStore

__all__ = ["Ready", "living_signatures", "patched", "prepared"]


async def living_signatures(nodes: NodeStore) -> dict[str, list[str]]:
    """Return the kinds that living nodes know, each with the signatures they publish for it."""
    known: dict[str, list[str]] = {}
    for node in await nodes.find():
        if node.alive:
            for kind in node.kinds:
                schemas = known.setdefault(kind, [])
                schema = node.signatures.get(kind)
                if schema is not None and schema not in schemas:
                    schemas.append(schema)
    return known


def patched(job: JobRecord, patches: Sequence[Patch], schemas: Sequence[str] | None) -> str:
    """Return a letter's arguments with all patches applied; raises `CallRefused`.

    They have to fit one of the signatures: during a deploy nodes may publish several. None: they are not checked.
    """
    args = job.args
    for change in patches:
        args = patch(args, change.path, change.value)
    if schemas is None:
        return args
    refusal: InvalidArguments | None = None
    for schema in schemas:
        try:
            check(args, schema)
        except InvalidArguments as error:
            refusal = refusal or error
        else:
            return args
    raise refusal or InvalidArguments(f"no living node says which arguments {job.kind} takes")


@dataclass(slots=True, kw_only=True)
class Ready:
    """Letters as they are to go."""

    letters: list[Letter]
    #: Those that cannot.
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    #: Those that wait for a node which knows their kind, so that what is set can be checked.
    held: list[Mark] = field(default_factory=list[Mark])

    def refuse(self, error: StoreRefused) -> bool:
        """Take out the letter that the store refused; False if it is none of these."""
        left = [letter for letter in self.letters if letter.id != error.job_id]
        if len(left) == len(self.letters) or error.job_id is None:
            return False
        self.letters = left
        self.refusals.append(Refusal(error.job_id, str(error)))
        return True


def prepared(jobs: Sequence[JobRecord], state: State, signatures: Mapping[str, Sequence[str]] | None) -> Ready:
    """Return letters as they are to go back; without signatures their arguments are not checked.

    A suspect goes back to the suspects' gate. With other attempts a letter keeps the backoff it was stored with, else it
    gets the standard one: what its code declares is not known here.
    """
    ready = Ready(letters=[])
    for job in jobs:
        schemas = None if signatures is None else signatures.get(job.kind, ())
        if schemas is not None and not schemas:
            ready.held.append(Mark(job.id, job.token))
            continue
        try:
            ready.letters.append(_letter(job, state, schemas))
        except CallRefused as error:
            ready.refusals.append(Refusal(job.id, str(error)))
    return ready


def _letter(job: JobRecord, state: State, schemas: Sequence[str] | None) -> Letter:
    return Letter(
        id=job.id,
        token=job.token,
        args=patched(job, state.patches, schemas) if state.patches else None,
        retry=None if state.attempts is None else _retry(job.retry, state.attempts),
        gate=SUSPECT_GATE if job.crashes >= SUSPECT_CRASHES else "",
    )


def _retry(stored: str | None, attempts: int) -> str:
    try:
        policy = POLICIES["standard"] if stored is None else decode(stored)
    except PayloadNotReadable:  # written by other code: its own backoff cannot be kept
        policy = POLICIES["standard"]
    return encode(replace(policy, attempts=attempts, name=""))
