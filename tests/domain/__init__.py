"""Claims about bot/domain."""
