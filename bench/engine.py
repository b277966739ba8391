"""Measure the engine beside the raw limit of its store, in the same run: `python bench/engine.py --store sqlite`."""

from __future__ import annotations

from bench.measures import MEASURES
from bench.program import measure

if __name__ == "__main__":
    measure(__doc__, MEASURES)
