"""Jobs as values."""

from __future__ import annotations

import pytest

from backburner.model.job import Claim, JobState, NewJob, Settlement

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "value",
    [
        NewJob(id="a", kind="send", queue="mail", args=f'{{"to":"{CANARY}"}}', headers=CANARY),
        Settlement(id="a", token=1, state=JobState.COMPLETED, result=CANARY, message=CANARY, checkpoint=CANARY),
        Claim(
            id="a",
            kind="send",
            queue="mail",
            args=CANARY,
            priority=5,
            attempt=1,
            failures=0,
            crashes=0,
            interruptions=0,
            token=1,
            timeout=None,
            retry=None,
            backoff=None,
            created_at=0,
            due_at=0,
            expires_at=None,
            claimed_at=0,
            checkpoint=CANARY,
        ),
    ],
    ids=["new", "settlement", "claim"],
)
def test_a_report_of_an_error_does_not_show_what_a_job_carries(value: object) -> None:
    """Trackers show the variables of frames, and an engine's frames hold jobs."""
    assert CANARY not in repr(value)
    assert " a" in repr(value)
