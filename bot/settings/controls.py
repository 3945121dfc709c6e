"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "c8ee0791dabb727de45791045128056db2716c051c776712c4485e8e317993ba"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
