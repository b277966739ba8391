"""The store in memory: for tests, for work that may die with its process, and the oracle of the other stores."""

from backburner.backends.memory.backend import MemoryBackend
from backburner.backends.memory.database import MemoryDatabase

__all__ = ["MemoryBackend", "MemoryDatabase"]
