"""Recorded payloads and what they must parse into."""
