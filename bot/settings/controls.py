"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "957bbc0fb258bfdc2090a3b99793a666daaae51b0688d85a8ff578e3f02e8e37"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
