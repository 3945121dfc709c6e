"""What happened, for good: the hash-chained journal and the state folded from it."""
