"""Coinbase Advanced Trade: REST, feeds, authentication, budgets, and the wire's shapes."""
