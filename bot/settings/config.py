"""The whole configuration as one value, with its hash."""

from __future__ import annotations

import hashlib

from bot.domain.codec import canonical
from bot.domain.value import Value, cached_property
from bot.settings.policy import Policy
from bot.settings.universe import Universe


class Config(Value, dict=True):
    """policy.yaml and universe.yaml as validated.

    config_hash: SHA-256 over the canonical JSON of both (numbers without trailing zeros): the same rules give the same
    hash however the files are written.
    """

    policy: Policy
    universe: Universe

    @cached_property
    def config_hash(self) -> str:
        document = {"policy": self.policy.model_dump(mode="json"), "universe": self.universe.model_dump(mode="json")}
        return hashlib.sha256(canonical(document)).hexdigest()

    def __hash__(self) -> int:
        return hash(self.config_hash)
