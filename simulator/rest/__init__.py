"""The REST endpoints of the simulated venue, one module for each group."""
