"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "0fecccc80f9fb1690c9622cb4928fe19f83705cd552f74403f18e5ff8c25dc42"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
