"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "b5eed763590e1f349e810ea24ae0039dae2cb7cc283e8ba52dafaa16bf22f17f"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
