"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "13af45cb1b89da7070779e3843dda207354570a8bcbf712406c5d1b9482e1326"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
