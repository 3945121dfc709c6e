"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "edea72af0ae8d248f70ac9ea9ba718a6dc8aae2abb0813c9c7b54bd1205ce254"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
