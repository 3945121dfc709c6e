"""Claims about simulator/."""
