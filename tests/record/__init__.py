"""Claims about bot/record."""
