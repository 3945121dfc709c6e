"""Every fault that real bots met, done to this one: rows in modules by class, run by `make faults`."""
