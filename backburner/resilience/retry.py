"""Retry policies: how many failures, how long between them, and which exceptions are worth another try.

The policies that go by name, with the delay after each failure in turn. By equal jitter each is drawn between half of
that and the whole, so the last column is what all attempts together take, from the least to the most.

============  ========  ===================================================================  ==============
policy        attempts  delays                                                               in all
============  ========  ===================================================================  ==============
standard      10        10s 30s 1m30s 4m30s 13m30s 40m30s 2h1m 6h (2 times)                  7h31m to 15h2m
conservative  4         1m 5m 25m                                                            15m30s to 31m
aggressive    25        1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 8m32s 17m4s 34m8s 1h (12 times)  6h34m to 13h8m
none          1
============  ========  ===================================================================  ==============
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption, PayloadNotReadable, UnknownRetryPolicy
from backburner.resilience.backoff import Backoff, constant, exponential
from backburner.resilience.rules import Rules, by_class, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOOP_BACKOFF", "POLICIES", "RetryPolicy", "Verdict", "decide", "decode", "encode", "policy"]

#: Between the failed steps of a loop, and between tries to reach a store. Not full jitter: a delay of nothing storms.
LOOP_BACKOFF = exponential(0.1, factor=2, cap=10, jitter="equal")


class Verdict(StrEnum):
    """What becomes of a job whose run raised."""

    #: Once more, after the backoff.
    RETRY = "retry"
    #: To the dead letters at once: another try would fail the same way.
    REJECT = "reject"
    #: Once more, after the backoff, and the failure is not counted.
    SNOOZE = "snooze"
    #: To the dead letters: that was the last attempt.
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a job that fails is tried again.

    The rules name exception classes; of an exception's classes the nearest one named decides. Not named: retried, or,
    if ``retry`` names any, rejected. An exception that carries a ``Retry-After`` (see ``retry_after``) is not tried again
    earlier than that, a day at most. Raises `InvalidOption`.
    """

    #: The failure of this number is the last; interruptions and crashes are no failures. None is no limit.
    attempts: int | None
    backoff: Backoff
    retry: Rules = ()
    reject: Rules = ()
    #: For what passes by itself, such as "not ready yet": costs no attempt.
    snooze: Rules = ()
    #: What people are shown; the named policies have one.
    name: str = ""
    _verdicts: dict[type[Exception], Verdict] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check, and note each class's verdict."""
        if self.attempts is not None and (type(self.attempts) is not int or self.attempts < 1):
            raise InvalidOption(
                f"attempts={self.attempts!r} must be a whole number from 1, or None for no limit", option="attempts"
            )
        if not isinstance(self.backoff, Backoff):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(f"backoff={self.backoff!r} is no backoff; write exponential(base=10)", option="backoff")
        verdicts = by_class({Verdict.RETRY: self.retry, Verdict.REJECT: self.reject, Verdict.SNOOZE: self.snooze})
        object.__setattr__(self, "_verdicts", verdicts)

    def rule(self, error: type[BaseException]) -> Verdict:
        """Return what the rules say of an exception's class: retry, reject or snooze."""
        return nearest(self._verdicts, error) or (Verdict.REJECT if self.retry else Verdict.RETRY)


#: The policies that go by name: in all `standard` takes 7.5 to 15 hours, long enough for an outage to be mended.
POLICIES: Mapping[str, RetryPolicy] = MappingProxyType(
    {
        known.name: known
        for known in (
            RetryPolicy(name="standard", attempts=10, backoff=exponential(10, factor=3, cap=6 * 3600)),
            RetryPolicy(name="conservative", attempts=4, backoff=exponential(60, factor=5, cap=3600)),
            RetryPolicy(name="aggressive", attempts=25, backoff=exponential(1, factor=2, cap=3600)),
            RetryPolicy(name="none", attempts=1, backoff=constant(0)),
        )
    }
)


def policy(given: str | RetryPolicy) -> RetryPolicy:
    """Return a policy by name, or the one given; raises `UnknownRetryPolicy`, naming what comes near."""
    if isinstance(given, RetryPolicy):
        return given
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidOption(
            f"retry={given!r} is neither a policy's name nor a RetryPolicy: give one of these", option="retry"
        )
    known = POLICIES.get(given)
    if known is None:
        near = difflib.get_close_matches(given, POLICIES, n=1)
        hint = f'did you mean "{near[0]}"; ' if near else ""
        raise UnknownRetryPolicy(
            f"retry={given!r} is not known: {hint}there are {', '.join(POLICIES)}, or a RetryPolicy of your own",
            option="retry",
        )
    return known


def decide(policy: RetryPolicy, failures: int, error: type[BaseException], *, asked: bool = False) -> Verdict:
    """Say what becomes of a job that raised an exception of this class; ``failures`` counts this one.

    ``asked``: the job itself asked for another try, which stands in for the rules but not for the count.
    """
    verdict = Verdict.RETRY if asked else policy.rule(error)
    if verdict is Verdict.RETRY and policy.attempts is not None and failures >= policy.attempts:
        return Verdict.EXHAUSTED
    return verdict


class _Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A policy as one job's own override is written."""

    attempts: int | None
    backoff: Backoff
    name: str = ""


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[str | _Stored] = msgspec.json.Decoder(str | _Stored)


def encode(policy: RetryPolicy) -> str:
    """Return the JSON text of a policy for one job: the name of a named one, the numbers of one's own.

    Raises `InvalidOption` for a policy with rules: exception classes cannot be stored, a declaration holds them.
    """
    if POLICIES.get(policy.name) == policy:
        return _encoder.encode(policy.name).decode()
    if policy.retry or policy.reject or policy.snooze:
        raise InvalidOption(
            "retry= of one call cannot carry exception classes: declare the policy on the job, @bb.job(retry=...)",
            option="retry",
        )
    stored = _Stored(attempts=policy.attempts, backoff=policy.backoff, name=policy.name)
    return _encoder.encode(stored).decode()


def decode(text: str) -> RetryPolicy:
    """Return the policy of a JSON text; raises `PayloadNotReadable` for one this code cannot read."""
    try:
        stored = _decoder.decode(text)
        if isinstance(stored, str):
            return policy(stored)
        return RetryPolicy(attempts=stored.attempts, backoff=stored.backoff, name=stored.name)
    except (msgspec.MsgspecError, InvalidOption) as error:
        raise PayloadNotReadable(
            f"the stored retry policy {text!r} cannot be read by this version of backburner: {error}", path="retry"
        ) from error
