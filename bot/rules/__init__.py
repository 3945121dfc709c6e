"""What the bot would like to do about it: exits first, then entries, with a size."""
