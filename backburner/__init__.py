"""Durable `asyncio.create_task`: background jobs in your own process, on your own event loop."""

from backburner.app import Backburner
from backburner.errors import (
    BackburnerError,
    CallRefused,
    JobCancelled,
    JobDead,
    JobExpired,
    JobFailed,
    JobNotFound,
    NotRunning,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from backburner.jobs.context import JobContext, current_job
from backburner.jobs.definition import Call, Job
from backburner.jobs.handle import JobHandle
from backburner.jobs.signals import Cancel, Reject, Retry, Snooze
from backburner.jobs.status import JobStatus
from backburner.resilience.backoff import constant, decorrelated, exponential, fibonacci, linear, polynomial
from backburner.resilience.retry import RetryPolicy

__all__ = [
    "Backburner",
    "BackburnerError",
    "Call",
    "CallRefused",
    "Cancel",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobDead",
    "JobExpired",
    "JobFailed",
    "JobHandle",
    "JobNotFound",
    "JobStatus",
    "NotRunning",
    "Reject",
    "Retry",
    "RetryPolicy",
    "Snooze",
    "StoreBusy",
    "StoreError",
    "StoreUnavailable",
    "constant",
    "current_job",
    "decorrelated",
    "exponential",
    "fibonacci",
    "linear",
    "polynomial",
]
