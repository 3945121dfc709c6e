"""Claims about bot/rules."""
