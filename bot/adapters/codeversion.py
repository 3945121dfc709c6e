"""Which code runs: the release, and a digest of the sources, so that a certificate binds what it was issued for."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "bulwark"
_DIGITS: Final = 12


@cache
def code_version() -> str:
    """`release+digest`; the digest covers every source file of the `bot` package, names and contents."""
    return f"{version(DISTRIBUTION)}+{digest_of(Path(__file__).parents[1])}"


def digest_of(package: Path) -> str:
    """First digits of a SHA-256 over the package's sources, in the order of their names."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:_DIGITS]
