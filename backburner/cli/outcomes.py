"""What became of each thing that a command was to change."""

from __future__ import annotations

from backburner.cli.render import View

__all__ = ["OUTCOMES", "Outcome"]

#: An id, and a word.
Outcome = tuple[str, str]

OUTCOMES: View[Outcome] = View(
    titles=("ID", "OUTCOME"),
    cells=lambda outcome: outcome,
    fields=lambda outcome: outcome,
    value=lambda outcome: {"id": outcome[0], "outcome": outcome[1]},
)
