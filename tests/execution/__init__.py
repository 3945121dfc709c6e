"""Claims about bot/execution."""
