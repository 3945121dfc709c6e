"""Claims about bot/adapters."""
