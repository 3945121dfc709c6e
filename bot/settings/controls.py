"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "580d1a105f5d5e1b929767eb87ed7d5e06d00fbcaf2008ea82fea5c34b71a751"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
