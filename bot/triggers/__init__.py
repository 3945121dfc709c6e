"""What happened in the market that deserves a look, ranked; indicators on integers."""
