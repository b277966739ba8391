"""What every part of the engine is given: the time, an ear, and chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from backburner.model.clock import Clock
    from backburner.ports.telemetry import Listener

__all__ = ["Kit"]


@dataclass(frozen=True, slots=True)
class Kit:
    """Injected once, handed down."""

    clock: Clock
    listener: Listener
    random: Random
