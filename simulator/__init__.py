"""A Coinbase one can break: the matching core behind REST and WebSocket, with faults on demand."""
