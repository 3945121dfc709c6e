"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "cb89c8aba9701c05ac5fc3ce1bd7980380189e371498e9769912f433e1e73b2d"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
