"""Who may trade this cycle, and why the others may not."""
