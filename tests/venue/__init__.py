"""Claims about bot/venue."""
