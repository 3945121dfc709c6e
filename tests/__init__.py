"""The suite; folders mirror bot/."""
