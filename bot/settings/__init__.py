"""Policy, universe and environment, parsed and refused at start, all problems at once."""
