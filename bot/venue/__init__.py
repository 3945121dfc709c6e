"""The exchange core: orders, matching, balances and fees as one pure, deterministic machine."""
