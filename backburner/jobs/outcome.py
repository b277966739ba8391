"""How a run ends: from what it returned or raised to the settlement that is written down. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.errors import ProcessDied
from backburner.jobs.account import account, class_of, message_of, storable
from backburner.jobs.run import Why
from backburner.jobs.signals import Cancel, JobSignal, Reject, Retry, Snooze
from backburner.model.clock import SECOND
from backburner.model.fingerprint import poison
from backburner.model.job import (
    MISFIT_GATE,
    SUSPECT_CRASHES,
    SUSPECT_GATE,
    Cause,
    Claim,
    Ending,
    JobRecord,
    JobState,
    NewJob,
    Recovered,
    Settlement,
)
from backburner.resilience.retry import Verdict, decide, decode
from backburner.resilience.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from backburner.jobs.account import Account
    from backburner.resilience.retry import RetryPolicy

__all__ = [
    "completed",
    "crashed",
    "ended",
    "expired",
    "given_back",
    "held_back",
    "interrupted",
    "misfit",
    "policy_of",
    "raised",
    "recovered",
    "storable",
    "unanswered",
    "unwritable",
    "with_effects",
]

#: Python looks the members of an enumeration up anew each time.
_COMPLETED = JobState.COMPLETED


def completed(claim: Claim, result: str) -> Settlement:
    """Settle a run that returned; ``result`` is JSON text."""
    return Settlement(id=claim.id, token=claim.token, state=_COMPLETED, result=result)


def with_effects(
    settlement: Settlement, follow_ups: tuple[NewJob, ...], progress: tuple[int, int | None] | None
) -> Settlement:
    """Add what a run did beside running: its follow-ups if it completed, and what it told last."""
    jobs = follow_ups if settlement.state is JobState.COMPLETED else ()
    if not jobs and progress is None:
        return settlement
    return msgspec.structs.replace(settlement, jobs=jobs, progress=progress)


def misfit(claim: Claim, error: BaseException, signature: str) -> Settlement:
    """Settle a claim whose stored arguments do not fit the signature here: it waits for a node that has another.

    The gate names every signature that was tried, so that no node tries twice.
    """
    prefix = f"{MISFIT_GATE}{claim.kind}:"
    tried = set(claim.gate.removeprefix(prefix).split(",")) if claim.gate.startswith(prefix) else set[str]()
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        gate=prefix + ",".join(sorted({*tried, signature})),
        ending=Ending.MISFIT,
        error=account(error).error,
        message=message_of(error),
    )


def crashed(claim: Claim, error: BaseException) -> Settlement:
    """Settle a run whose own process died: a crash, charged to this job alone."""
    return _crashed(claim, message_of(error))


def given_back(claim: Claim, *, delay: int = 0) -> Settlement:
    """Settle a claim that was never started: as if it had not been claimed, but due only after ``delay``."""
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        delay=delay,
        gate=_gate(claim.crashes),
        unstarted=True,
    )


def held_back(claim: Claim) -> Settlement:
    """Give back a claim whose breaker has opened since, uncharged; by the time that it is due its lane holds it."""
    return given_back(claim, delay=SECOND)


def unanswered(job: JobRecord) -> Settlement:
    """Settle a claim whose answer was lost, so that nobody ran it: nothing is counted, and its number stays used."""
    return Settlement(id=job.id, token=job.token, state=JobState.PENDING, gate=_gate(job.crashes))


def interrupted(claim: Claim, why: str) -> Settlement:
    """Settle a run that its node had to stop: due again at once, nothing counted against it."""
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        gate=_gate(claim.crashes),
        interrupted=1,
        ending=Ending.INTERRUPTED,
        message=why,
    )


def expired(claim: Claim, *, unstarted: bool = True) -> Settlement:
    """Settle a job whose time to start had passed; only a claim to run it has raised its attempt."""
    return Settlement(id=claim.id, token=claim.token, state=JobState.CANCELLED, reason="expired", unstarted=unstarted)


def policy_of(claim: Claim, declared: RetryPolicy) -> RetryPolicy:
    """Return the policy a job was stored with, else the declared one."""
    return declared if claim.retry is None else decode(claim.retry)


def raised(
    claim: Claim,
    error: BaseException,
    policy: RetryPolicy,
    random: Random,
    *,
    now: int,
    clean: Callable[[str], str] = str,
) -> Settlement:
    """Settle a run that raised; ``now`` is the moment that a ``Retry-After`` with a date is counted from.

    ``clean`` takes out of what the error says what must not be stored.
    """
    if isinstance(error, JobSignal):
        return _signalled(claim, error, policy, random, now=now, clean=clean)
    if isinstance(error, ProcessDied):
        return crashed(claim, error)
    return _failed(claim, error, policy, random, now=now, clean=clean)


def ended(
    claim: Claim,
    why: Why,
    error: BaseException,
    policy: RetryPolicy,
    random: Random,
    *,
    now: int,
    clean: Callable[[str], str] = str,
) -> Settlement:
    """Settle a run that was told to end, and did so by raising; out of time, ``error`` is the `TimeoutError`."""
    if isinstance(error, JobSignal) and why is not Why.CANCEL:
        return _signalled(claim, error, policy, random, now=now, clean=clean)
    if why is Why.CANCEL:
        # The store knows that this was asked for, and why; asked for no more, the job is to run again.
        return Settlement(
            id=claim.id, token=claim.token, state=JobState.PENDING, gate=_gate(claim.crashes), ending=Ending.CANCELLED
        )
    if why is Why.HELD:
        return held_back(claim)
    if why is Why.TIMEOUT:
        return _failed(claim, error, policy, random, now=now, clean=clean)
    if why is Why.FENCED:
        return interrupted(claim, "its node could not renew its lease in time")
    return interrupted(claim, "the engine stopped")


def recovered(job: Recovered) -> Settlement:
    """Settle what was taken over from a dead node, or found expired.

    A crash is charged to what was running and convicts nobody in company: two make a suspect, and only a crash as its
    node's suspect, alone, is poison.
    """
    claim = job.claim
    if job.cause is Cause.EXPIRED:
        return expired(claim, unstarted=False)
    # Asked to be cancelled while it ran, it becomes so in the store, which knows why.
    return _crashed(claim, f"node {job.node} died while it ran", convict=not job.cancel)


def unwritable(settlement: Settlement, refusal: str) -> Settlement:
    """Settle what a store refused to write as it was: the same end without its texts; a result is lost to a death."""
    completed = settlement.state is JobState.COMPLETED
    return Settlement(
        id=settlement.id,
        token=settlement.token,
        state=JobState.DEAD if completed else settlement.state,
        reason="rejected: the store refused the result" if completed else None,
        delay=settlement.delay,
        gate=settlement.gate,
        failed=1 if completed else settlement.failed,
        crashed=settlement.crashed,
        interrupted=settlement.interrupted,
        ending=Ending.REJECTED if completed else settlement.ending,
        error="StoreRefused",
        message=refusal,
        unstarted=settlement.unstarted,
    )


def _crashed(claim: Claim, why: str, *, convict: bool = True) -> Settlement:
    convicted = convict and claim.crashes >= SUSPECT_CRASHES
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.DEAD if convicted else JobState.PENDING,
        reason="poison" if convicted else None,
        gate="" if convicted else _gate(claim.crashes + 1),
        crashed=1,
        ending=Ending.CRASHED,
        error="Poison" if convicted else "",
        message=f"{why}, for the third time and with no other suspect beside it" if convicted else why,
        fingerprint=poison(claim.kind) if convicted else "",
    )


def _gate(crashes: int) -> str:
    return SUSPECT_GATE if crashes >= SUSPECT_CRASHES else ""


def _signalled(
    claim: Claim,
    signal: JobSignal,
    policy: RetryPolicy,
    random: Random,
    *,
    now: int,
    clean: Callable[[str], str],
) -> Settlement:
    why = message_of(signal, clean)
    if isinstance(signal, Snooze):
        return _snoozed(claim, signal.delay, why)
    if isinstance(signal, Cancel):
        return _cancelled(claim, why or "cancelled")
    if isinstance(signal, Reject):
        told = account(signal, clean)
        return _dead(claim, told, f"rejected: {why}" if why else "rejected", Ending.REJECTED)
    delay = signal.delay if isinstance(signal, Retry) else None
    return _failed(claim, signal, policy, random, now=now, delay=delay, clean=clean)


def _snoozed(claim: Claim, delay: int, why: str) -> Settlement:
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        delay=delay,
        gate=_gate(claim.crashes),
        ending=Ending.SNOOZED,
        message=why,
    )


def _cancelled(claim: Claim, why: str) -> Settlement:
    return Settlement(
        id=claim.id, token=claim.token, state=JobState.CANCELLED, reason=storable(why), ending=Ending.CANCELLED
    )


def _failed(
    claim: Claim,
    error: BaseException,
    policy: RetryPolicy,
    random: Random,
    *,
    now: int,
    clean: Callable[[str], str],
    delay: int | None = None,
) -> Settlement:
    failures = claim.failures + 1
    verdict = decide(policy, failures, class_of(error), asked=isinstance(error, Retry))
    told = account(error, clean)
    if verdict is Verdict.REJECT:
        return _dead(claim, told, f"rejected: {told.error}", Ending.REJECTED)
    if verdict is Verdict.EXHAUSTED:
        return _dead(claim, told, "exhausted", Ending.FAILED)
    floor = retry_after(error, now) or 0
    backoff = policy.backoff.delay(failures, previous=claim.backoff, random=random, floor=floor)
    if verdict is Verdict.SNOOZE:
        return _snoozed(claim, backoff, f"{told.error}: {told.message}")
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        delay=backoff if delay is None else delay,
        gate=_gate(claim.crashes),
        backoff=backoff,
        failed=1,
        ending=Ending.FAILED,
        error=told.error,
        message=told.message,
        traceback=told.traceback,
        fingerprint=told.fingerprint,
    )


def _dead(claim: Claim, told: Account, reason: str, ending: Ending) -> Settlement:
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.DEAD,
        reason=storable(reason),
        failed=1,
        ending=ending,
        error=told.error,
        message=told.message,
        traceback=told.traceback,
        fingerprint=told.fingerprint,
    )
