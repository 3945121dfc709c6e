"""Markets of the simulator."""
