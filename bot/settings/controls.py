"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "f6f7e0e8a1fce92de9def723f0ddb06b5124adf722c6de8c40fa35141e3cb98d"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
