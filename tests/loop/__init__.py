"""The whole loop, in process, on a scripted market and a breakable venue."""
