"""The one error tree.

A class's docstring is its default message; what a program may want to know is an attribute, never only prose.
Every message says what was refused, where, and how to mend it, in one sentence without a full stop: it is often shown
inside another.
"""

from __future__ import annotations

from typing import Literal

__all__ = [
    "AlreadyEnded",
    "AlreadyRunning",
    "ArgumentNotStorable",
    "BackburnerError",
    "CallNotUsed",
    "CallRefused",
    "ClaimLost",
    "DeliveryFailed",
    "DeliveryRefused",
    "DuplicateKind",
    "DuplicateSchedule",
    "DuplicateSubscription",
    "EventsGone",
    "InvalidAlert",
    "InvalidArguments",
    "InvalidCursor",
    "InvalidDependency",
    "InvalidEvent",
    "InvalidOption",
    "InvalidSchedule",
    "InvalidSetting",
    "InvalidUrl",
    "JobCancelled",
    "JobDead",
    "JobExpired",
    "JobFailed",
    "JobNotFound",
    "LeaseLost",
    "LetterFileRefused",
    "LockLost",
    "LockNotHeld",
    "LockTimeout",
    "NotACall",
    "NotAJob",
    "NotInAJob",
    "NotInThisProcess",
    "NotRunning",
    "NothingMatches",
    "OnTheLoop",
    "OperationNotFound",
    "PayloadNotReadable",
    "ProcessDied",
    "ResourceFailed",
    "ResultNotStorable",
    "RunSkipped",
    "ScheduleNotFound",
    "SchemaTooNew",
    "SchemaTooOld",
    "StoreBusy",
    "StoreCorrupt",
    "StoreDenied",
    "StoreError",
    "StoreFull",
    "StoreMissing",
    "StoreReadOnly",
    "StoreRefused",
    "StoreUnavailable",
    "StoreUnsupported",
    "Stored",
    "SubscriptionNotFound",
    "TransactionOpen",
    "TransactionRefused",
    "TransactionRolledBack",
    "UnknownEvent",
    "UnknownKind",
    "UnknownLimit",
    "UnknownPath",
    "UnknownRetryPolicy",
    "UnknownUrlOption",
]

#: What is known of a write that raised: ``no`` (nothing was stored) or ``unknown`` (it may have been).
Stored = Literal["no", "unknown"]


class BackburnerError(Exception):
    """backburner refused or failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0].removesuffix("."))


# ---- refused at the call -------------------------------------------------------------------------------------------


class CallRefused(BackburnerError):
    """The call was refused; nothing was stored."""


class InvalidOption(CallRefused, ValueError):
    """An option has a value it cannot have.

    ``option`` names it, as the call would.
    """

    def __init__(self, message: str | None = None, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class InvalidSchedule(CallRefused, ValueError):
    """This does not say when a schedule is due, or not what it seems to say.

    ``part`` is where: a field of a cron expression, such as ``day of month``, or an option, such as ``tz``; None if no
    single one is to blame.
    """

    def __init__(self, message: str | None = None, *, part: str | None = None) -> None:
        super().__init__(message)
        self.part = part


class UnknownRetryPolicy(InvalidOption):
    """No retry policy of that name exists."""


class UnknownLimit(InvalidOption, LookupError):
    """No limit or breaker of that name exists."""


class NotACall(CallRefused, TypeError):
    """create_task takes a call of a job, such as send_email("a@b.c")."""


class NotAJob(CallRefused, TypeError):
    """This cannot be a job."""


class InvalidDependency(NotAJob):
    """A dependency of this job cannot be provided."""


class InvalidArguments(CallRefused, TypeError):
    """The arguments do not fit the job's signature.

    ``path`` is where, as in `ArgumentNotStorable`; None if no single place is to blame.
    """

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ArgumentNotStorable(CallRefused, ValueError):
    """An argument cannot be stored, or would not come back equal.

    ``path`` is where, as Python would write it: ``order.items[3].price``; None if no single place is to blame.
    """

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ResultNotStorable(BackburnerError, ValueError):
    """A job returned what cannot be stored, or would not come back equal.

    ``path`` is where, and begins with ``result``.
    """

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class PayloadNotReadable(BackburnerError, ValueError):
    """A stored payload does not fit the signature that this code declares.

    ``path`` is where, as in `ArgumentNotStorable`; None if it cannot be read at all.
    """

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class UnknownPath(CallRefused, LookupError):
    """The stored arguments have nothing at this path.

    ``path`` is the part of it that is not there: ``user.adress`` of ``user.adress.city``.
    """

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class DuplicateKind(CallRefused, ValueError):
    """Two jobs have the same kind."""


class DuplicateSchedule(CallRefused, ValueError):
    """Two schedules have the same name."""


class ScheduleNotFound(BackburnerError, LookupError):
    """There is no schedule of that name."""


class UnknownKind(CallRefused, LookupError):
    """No job of that kind is registered here."""


class NothingMatches(CallRefused, LookupError):
    """No dead letter matches."""


class UnknownEvent(InvalidOption, LookupError):
    """No event has this name."""


class InvalidEvent(CallRefused, ValueError):
    """This cannot be published."""


class InvalidCursor(CallRefused, ValueError):
    """This cursor names no place in this store's log of events."""


class EventsGone(CallRefused, LookupError):
    """Events behind this cursor have been deleted, their time being over: what they told is lost to this reader.

    ``after`` is the cursor to go on from.
    """

    def __init__(self, message: str | None = None, *, after: str) -> None:
        super().__init__(message)
        self.after = after


class DeliveryFailed(BackburnerError):
    """An event could not be delivered; it is tried again."""


class DeliveryRefused(BackburnerError):
    """An event was refused where it was to be delivered, and would be again: its job is a dead letter."""


class DuplicateSubscription(CallRefused, ValueError):
    """Two handlers or sinks have one name."""


class SubscriptionNotFound(CallRefused, LookupError):
    """There is no subscription of this name."""


class InvalidAlert(CallRefused, ValueError):
    """An alert's condition cannot be read.

    ``position`` is where, counted in characters from 0.
    """

    def __init__(self, message: str | None = None, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class OperationNotFound(CallRefused, LookupError):
    """There is no such replay or purge; ended ones are kept as long as dead letters are."""


class LetterFileRefused(CallRefused, ValueError):
    """A file of dead letters is broken, or is none; nothing of it was stored.

    ``line`` says where, counted from 1.
    """

    def __init__(self, message: str | None = None, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class InvalidUrl(CallRefused, ValueError):
    """A store URL cannot be understood."""


class UnknownUrlOption(InvalidUrl):
    """A store URL carries an option this store does not have."""


class InvalidSetting(CallRefused, ValueError):
    """A setting read from the environment cannot be used.

    ``variable`` names it.
    """

    def __init__(self, message: str | None = None, *, variable: str | None = None) -> None:
        super().__init__(message)
        self.variable = variable


class NotRunning(BackburnerError, RuntimeError):
    """The engine is not running: enter it first, with `async with bb:` in your app's lifespan or script."""


class AlreadyRunning(BackburnerError, RuntimeError):
    """The engine is running already: enter it once, and use it from everywhere in its process."""


class OnTheLoop(BackburnerError, RuntimeError):
    """bb.blocking would block the event loop it was called on: await the method of the engine itself."""


class ResourceFailed(BackburnerError):
    """What the engine was to open before its jobs failed to open; the engine did not start."""


class NotInAJob(BackburnerError, RuntimeError):
    """current_job() was called outside a job."""


class NotInThisProcess(BackburnerError, RuntimeError):
    """A process job runs in a process of its own, without what the engine holds."""


class AlreadyEnded(BackburnerError, RuntimeError):
    """The run has ended, or was completed already: this has to come before."""


class RunSkipped(BackburnerError, RuntimeError):
    """A wrapper of around= returned without awaiting run(), so the job did not run: await it, or raise Cancel or Reject."""


class ProcessDied(BackburnerError):
    """The process that ran the job died."""


class CallNotUsed(RuntimeWarning):
    """A call of a job was neither stored nor awaited: nothing will ever run."""


# ---- a caller's own transaction ------------------------------------------------------------------------------------


class TransactionRefused(CallRefused, ValueError):
    """The connection given as ``tx`` cannot be joined."""


class TransactionOpen(CallRefused, RuntimeError):
    """A transaction given as ``tx`` is still open: end it first."""


class TransactionRolledBack(BackburnerError):
    """The transaction in which the job was completed was rolled back, so the job was not."""


class ClaimLost(BackburnerError):
    """The job is not this run's to complete any more: it runs elsewhere, or has ended; roll the transaction back."""


# ---- what a store answers ------------------------------------------------------------------------------------------


class StoreError(BackburnerError):
    """The store failed.

    ``stored`` tells what is known of the write (``no`` or ``unknown``); ``job_id`` names the job concerned, if one is.
    ``create_task(call, id=job_id)`` repeats the write safely.
    """

    def __init__(self, message: str | None = None, *, stored: Stored = "unknown", job_id: str | None = None) -> None:
        super().__init__(message)
        self.stored: Stored = stored
        self.job_id = job_id


class StoreBusy(StoreError):
    """The store could not take the write in time."""


class StoreUnavailable(StoreError):
    """The store cannot be reached."""


class StoreMissing(StoreError):
    """There is no store at this address."""


class StoreDenied(StoreError):
    """The store does not let this user in, or does not let it do that."""


class StoreReadOnly(StoreError):
    """The store is read-only."""


class StoreCorrupt(StoreError):
    """The store is damaged, or is not a backburner store."""


class StoreFull(StoreError):
    """The store has no room left."""


class StoreUnsupported(StoreError):
    """The store lacks something backburner cannot do without."""


class StoreRefused(StoreError):
    """The store refused one item for its content."""


class SchemaTooNew(StoreError):
    """The store's schema was written by a newer backburner: upgrade this one.

    ``ahead`` counts the steps that this one does not know; None where it cannot even read what is there.
    """

    def __init__(self, message: str | None = None, *, stored: Stored = "unknown", ahead: int | None = None) -> None:
        super().__init__(message, stored=stored)
        self.ahead = ahead


class SchemaTooOld(StoreError):
    """The store's schema is older than this backburner: run `backburner db upgrade`."""


class LeaseLost(StoreError):
    """This node's lease is not live: it may not claim until it has a new one."""


# ---- what a lock raises --------------------------------------------------------------------------------------------


class LockTimeout(BackburnerError, TimeoutError):
    """The lock was held by others for as long as it was waited for."""


class LockLost(BackburnerError):
    """The lock's lease could not be renewed in time: another may hold it."""


class LockNotHeld(BackburnerError, RuntimeError):
    """The lock is not held, or held already, by this object."""


# ---- what awaiting a handle raises ---------------------------------------------------------------------------------


class JobFailed(BackburnerError):
    """The job ended without a result.

    ``job_id`` names the job; ``reason`` is the word the store keeps for why, such as ``exhausted``, if there is one.
    """

    def __init__(self, message: str | None = None, *, job_id: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.reason = reason


class JobDead(JobFailed):
    """The job is a dead letter."""


class JobCancelled(JobFailed):
    """The job was cancelled."""


class JobExpired(JobCancelled):
    """The job expired before it could run."""


class JobNotFound(JobFailed):
    """The store has no job of this id: it never had one, or its retention has passed."""
