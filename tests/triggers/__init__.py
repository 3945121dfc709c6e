"""Claims about bot/triggers."""
