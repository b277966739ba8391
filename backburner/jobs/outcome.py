"""How a run ends: from what it returned or raised to the settlement that is written down. Pure."""

from __future__ import annotations

import traceback
from asyncio import CancelledError
from typing import TYPE_CHECKING

from backburner.errors import PayloadNotReadable
from backburner.jobs.run import Why
from backburner.jobs.signals import Cancel, JobSignal, Reject, Retry, Snooze
from backburner.model.fingerprint import fingerprint, qualified
from backburner.model.job import SUSPECT_GATE, Cause, Claim, Ending, JobRecord, JobState, Recovered, Settlement
from backburner.resilience.retry import Verdict, decide, decode

if TYPE_CHECKING:
    from random import Random

    from backburner.resilience.retry import RetryPolicy

__all__ = [
    "SUSPECT_CRASHES",
    "completed",
    "ended",
    "expired",
    "given_back",
    "interrupted",
    "policy_of",
    "raised",
    "recovered",
    "storable",
    "unanswered",
    "unwritable",
]

#: Crashes in company after which a job is a suspect: it runs with no other suspect beside it.
SUSPECT_CRASHES = 2
#: Characters of a stored traceback: 16 KiB. The innermost frames, at its end, are kept.
_TRACEBACK = 16 * 1024
_MESSAGE = 4 * 1024


def completed(claim: Claim, result: str) -> Settlement:
    """Settle a run that returned; ``result`` is JSON text."""
    return Settlement(id=claim.id, token=claim.token, state=JobState.COMPLETED, result=result)


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


def raised(claim: Claim, error: BaseException, policy: RetryPolicy, random: Random) -> Settlement:
    """Settle a run that raised."""
    if isinstance(error, JobSignal):
        return _signalled(claim, error, policy, random)
    if isinstance(error, PayloadNotReadable):
        return _dead(claim, error, f"unreadable: {error}", Ending.REJECTED)
    return _failed(claim, error, policy, random)


def ended(claim: Claim, why: Why, error: BaseException, policy: RetryPolicy, random: Random) -> Settlement:
    """Settle a run that was told to end, and did so by raising; out of time, ``error`` is the `TimeoutError`."""
    if isinstance(error, JobSignal) and why is not Why.CANCEL:
        return _signalled(claim, error, policy, random)
    if why is Why.CANCEL:
        return _cancelled(claim, "cancelled")
    if why is Why.TIMEOUT:
        return _failed(claim, error, policy, random)
    return interrupted(claim, "the engine stopped")


def recovered(job: Recovered) -> Settlement:
    """Settle what was taken over from a dead node, or found expired.

    A crash is charged to what was running and convicts nobody in company: two make a suspect, and only a crash as its
    node's suspect, alone, is poison.
    """
    claim = job.claim
    if job.cause is Cause.EXPIRED:
        return expired(claim, unstarted=False)
    why = f"node {job.node} died while it ran"
    if job.cancel:
        return Settlement(
            id=claim.id,
            token=claim.token,
            state=JobState.CANCELLED,
            reason="cancelled",
            crashed=1,
            ending=Ending.CRASHED,
            message=why,
        )
    poison = claim.crashes >= SUSPECT_CRASHES
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.DEAD if poison else JobState.PENDING,
        reason="poison" if poison else None,
        gate="" if poison else _gate(claim.crashes + 1),
        crashed=1,
        ending=Ending.CRASHED,
        error="Poison" if poison else "",
        message=f"{why}, for the third time and with no other suspect beside it" if poison else why,
    )


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


def _gate(crashes: int) -> str:
    return SUSPECT_GATE if crashes >= SUSPECT_CRASHES else ""


def _signalled(claim: Claim, signal: JobSignal, policy: RetryPolicy, random: Random) -> Settlement:
    why = _message(signal)
    if isinstance(signal, Snooze):
        return _snoozed(claim, signal.delay, why)
    if isinstance(signal, Cancel):
        return _cancelled(claim, why or "cancelled")
    if isinstance(signal, Reject):
        return _dead(claim, signal, f"rejected: {why}" if why else "rejected", Ending.REJECTED)
    delay = signal.delay if isinstance(signal, Retry) else None
    return _failed(claim, signal, policy, random, delay=delay)


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
    claim: Claim, error: BaseException, policy: RetryPolicy, random: Random, *, delay: int | None = None
) -> Settlement:
    failures = claim.failures + 1
    verdict = decide(policy, failures, error, asked=isinstance(error, Retry))
    if verdict is Verdict.REJECT:
        return _dead(claim, error, f"rejected: {qualified(error)}", Ending.REJECTED)
    if verdict is Verdict.EXHAUSTED:
        return _dead(claim, error, "exhausted", Ending.FAILED)
    backoff = policy.backoff.delay(failures, previous=claim.backoff, random=random)
    if verdict is Verdict.SNOOZE:
        return _snoozed(claim, backoff, f"{qualified(error)}: {_message(error)}")
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.PENDING,
        delay=backoff if delay is None else delay,
        gate=_gate(claim.crashes),
        backoff=backoff,
        failed=1,
        ending=Ending.FAILED,
        error=qualified(error),
        message=_message(error),
        traceback=_traceback(error),
        fingerprint=fingerprint(error),
    )


def _dead(claim: Claim, error: BaseException, reason: str, ending: Ending) -> Settlement:
    return Settlement(
        id=claim.id,
        token=claim.token,
        state=JobState.DEAD,
        reason=storable(reason),
        failed=1,
        ending=ending,
        error=qualified(error),
        message=_message(error),
        traceback=_traceback(error),
        fingerprint=fingerprint(error),
    )


def _traceback(error: BaseException) -> str:
    if isinstance(error, CancelledError | JobSignal):
        return ""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - until Python 3.13 its parser may fail while a job parses in another thread
        frames = traceback.walk_tb(error.__traceback__)
        text = "".join(f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}\n" for frame, line in frames)
    return storable(text, _TRACEBACK)


def _message(error: BaseException) -> str:
    """Return an error's text; the job's own code makes it, and may fail at that."""
    try:
        return storable(str(error))
    except Exception as failure:  # noqa: BLE001 - however it fails, the run has to be settled
        return f"its text could not be made: {qualified(failure)}"


def storable(text: str, limit: int = _MESSAGE) -> str:
    """Return the end of a text that every store takes: no NUL, no lone surrogates, at most ``limit`` bytes."""
    kept = text.encode("utf-8", "replace")[-limit:]
    return kept.decode("utf-8", "ignore").replace("\x00", "\N{SYMBOL FOR NULL}")
