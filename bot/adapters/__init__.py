"""The world behind the ports: wire, files, clock, lock, webhook."""
