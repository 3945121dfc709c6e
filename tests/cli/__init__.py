"""Claims about bot/cli."""
