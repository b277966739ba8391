"""Frozen values, no I/O. msgspec is the one third party: it makes the values that cross to a store, in C."""
