"""Durable `asyncio.create_task`: background jobs in your own process, on your own event loop."""

from backburner.app import Backburner
from backburner.codec.secret import Secret
from backburner.errors import (
    BackburnerError,
    CallNotUsed,
    CallRefused,
    ClaimLost,
    EventsGone,
    InvalidCursor,
    JobCancelled,
    JobDead,
    JobExpired,
    JobFailed,
    JobNotFound,
    LockLost,
    LockTimeout,
    NotRunning,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from backburner.events.event import Event
from backburner.jobs.call import Call
from backburner.jobs.context import JobContext, current_job
from backburner.jobs.dependencies import Provide
from backburner.jobs.group import TaskGroup
from backburner.jobs.handle import JobHandle
from backburner.jobs.job import Job
from backburner.jobs.reasons import Reason
from backburner.jobs.signals import Cancel, Reject, Retry, Snooze
from backburner.jobs.status import JobStatus
from backburner.jobs.unique import Unique
from backburner.registry import Registry
from backburner.resilience.adaptive import Adaptive
from backburner.resilience.backoff import constant, decorrelated, exponential, fibonacci, linear, polynomial
from backburner.resilience.breaker import Breaker
from backburner.resilience.budget import Budget
from backburner.resilience.bulkhead import Bulkhead
from backburner.resilience.lock import Lock
from backburner.resilience.rates import rate
from backburner.resilience.retry import RetryPolicy
from backburner.scheduler.triggers import At, Cron, Every

__all__ = [
    "Adaptive",
    "At",
    "Backburner",
    "BackburnerError",
    "Breaker",
    "Budget",
    "Bulkhead",
    "Call",
    "CallNotUsed",
    "CallRefused",
    "Cancel",
    "ClaimLost",
    "Cron",
    "Event",
    "EventsGone",
    "Every",
    "InvalidCursor",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobDead",
    "JobExpired",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobStatus",
    "Lock",
    "LockLost",
    "LockTimeout",
    "NotRunning",
    "Provide",
    "Reason",
    "Registry",
    "Reject",
    "Retry",
    "RetryPolicy",
    "Secret",
    "Snooze",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "TaskGroup",
    "Unique",
    "constant",
    "current_job",
    "decorrelated",
    "exponential",
    "fibonacci",
    "linear",
    "polynomial",
    "rate",
]
