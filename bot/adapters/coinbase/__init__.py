"""Coinbase Advanced Trade: REST, feeds, keys, budgets and the wire's shapes; nothing else knows them."""
