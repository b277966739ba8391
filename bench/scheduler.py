"""Measure the scheduler, in the same run as what it is held against: `python bench/scheduler.py --store sqlite`."""

from __future__ import annotations

from bench.measures.due import crowd, firing
from bench.measures.ticks import punctual, resting
from bench.program import measure

if __name__ == "__main__":
    measure(__doc__, {"crowd": crowd, "firing": firing, "punctual": punctual, "resting": resting})
