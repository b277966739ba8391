"""Tools for tests: the fake clock, and the published contract suite for store authors."""

from backburner.testing.clock import FakeClock

__all__ = ["FakeClock"]
