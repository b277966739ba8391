"""A job for processes of its own that looks like poison."""

from __future__ import annotations

import os
import threading

from backburner import Registry, current_job

jobs = Registry()

#: Crashes that make a suspect.
CRASHES = 2


@jobs.job(executor="process")
def fragile() -> None:
    """End its process in its first runs, and stay in the next."""
    if current_job().attempt <= CRASHES:
        os._exit(3)
    current_job().progress(1)
    threading.Event().wait()
