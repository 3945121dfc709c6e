"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "e551ee112e07bb06e5314f2dab7c1a93ec9e540c2d782e11465679ab648f3432"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
