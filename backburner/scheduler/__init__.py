"""Schedules: when they are due, what then becomes of each tick, and who decides it."""
