"""Claims about bot/universe."""
