"""Writes messages.txt anew, and tells which errors no case provokes: ``python -m tests.unit.error_messages``."""

from __future__ import annotations

import logging

from tests.unit.error_messages import collecting

if __name__ == "__main__":
    logging.disable()
    collected = collecting.collect()
    collecting.GOLDEN.write_text(collected.text, "utf-8")
    for _site in sorted(set(collecting.sites()) - collected.made):
        pass
