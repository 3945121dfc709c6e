"""Inputs of recent cycles, kept beside their decisions."""

from __future__ import annotations

from typing import Final

INPUTS: Final = ".inputs.json"
"""End of the name of a file that holds a cycle's inputs."""
