"""Claims about bot/ops."""
