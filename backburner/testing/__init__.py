"""Tools for tests: what `Backburner.testing` answers, the fake clock, and the published contract suite for store authors."""

from backburner.testing.clock import FakeClock
from backburner.testing.kit import Testing
from backburner.testing.seen import Drained, StoredJob

__all__ = ["Drained", "FakeClock", "StoredJob", "Testing"]
