"""The whole configuration as one value, with its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from bot.domain.codec import canonical
from bot.settings.policy import Policy
from bot.settings.universe import Universe


@dataclass(frozen=True, slots=True)
class Config:
    """policy.yaml and universe.yaml as validated.

    config_hash: SHA-256 over the canonical JSON of both (numbers without trailing zeros): the same rules give the same
    hash however the files are written.
    """

    policy: Policy
    universe: Universe
    config_hash: str = field(init=False)

    def __post_init__(self) -> None:
        document = {"policy": self.policy.model_dump(mode="json"), "universe": self.universe.model_dump(mode="json")}
        object.__setattr__(self, "config_hash", hashlib.sha256(canonical(document)).hexdigest())

    def __hash__(self) -> int:
        return hash(self.config_hash)
