"""Claims about bot/observe."""
