"""Bulwark: a single-exchange, spot, long-only trading daemon that fails closed."""
