"""The matching core: who fills, at what price, out of which balance. Pure, seeded, no I/O."""
