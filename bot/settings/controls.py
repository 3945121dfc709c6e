"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "9c645aae04031c15005bdf86db693ecdf744fbecda71a5fb07ac79dbd56952c6"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
