"""The digest of docs/CONTROLS.md, written by `python -m tests.docs.controls`: certificates bind to it."""

from __future__ import annotations

from typing import Final

CONTROLS_DIGEST: Final = "e137e631e070b789c5641880198ebd926a85b2670576999143cb3f8cbb277865"
"""SHA-256 of the control table; part of the code, so that a daemon knows it where no documents are installed."""
