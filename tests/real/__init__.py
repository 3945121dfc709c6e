"""Checks on recorded market data: python -m tests.real."""
