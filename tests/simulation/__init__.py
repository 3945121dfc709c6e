"""Whole days of trading under seeded faults; invariants only."""
