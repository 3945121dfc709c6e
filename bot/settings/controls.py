"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "765be03d898d9de8fbd7d2bab4e77f69cfec11b26a3e14448156fdc9557ba1e4"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
