"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "b2fffbf4436095ce15e626d91eca353773ec9a087ace1275d77e5a5806df2e55"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
