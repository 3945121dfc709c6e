"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "7f2f162ba2f779db3127506793ac8a5940b8c902d1f934edecbd9552afd47aac"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
