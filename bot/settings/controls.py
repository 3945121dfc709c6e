"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "9652b5e7fd52d24c08a3515ced953126c381f72c6730ea1f01c45eb48bc28944"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
