"""The Coinbase adapter against payloads, and against servers that misbehave."""
