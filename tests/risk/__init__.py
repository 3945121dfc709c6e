"""Claims about bot/risk."""
