"""Measure events beside the raw limit of their store, or beside jobs without any: `python bench/events.py --store sqlite`."""

from __future__ import annotations

from bench.measures.asked import asked
from bench.measures.following import following, long, numbering
from bench.measures.handled import handled, told
from bench.measures.publishing import publishing
from bench.program import measure

if __name__ == "__main__":
    measure(
        __doc__,
        {
            "asked": asked,
            "publish": publishing,
            "handled": handled,
            "told": told,
            "follow": following,
            "long": long,
            "number": numbering,
        },
    )
