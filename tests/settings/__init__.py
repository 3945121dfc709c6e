"""Claims about bot/settings."""
