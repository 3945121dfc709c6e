"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "87c6421edd75890226ab592614d61854a4abfe81c29e66802bbf3fc235fd3d4e"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
