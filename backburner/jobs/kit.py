"""What every part of the engine is given: the time, an ear, chance, and those who watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backburner.ports.telemetry import Hooks

if TYPE_CHECKING:
    from random import Random

    from backburner.jobs.loop import Loop
    from backburner.model.clock import Clock
    from backburner.ports.telemetry import Listener

__all__ = ["Kit"]


@dataclass(frozen=True, slots=True)
class Kit:
    """Injected once, handed down."""

    clock: Clock
    listener: Listener
    random: Random
    hooks: Hooks = field(default_factory=Hooks)
    #: The loops that have started and were not stopped.
    loops: set[Loop] = field(default_factory=set["Loop"])
