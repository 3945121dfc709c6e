"""The unit files, and the guard they call."""
