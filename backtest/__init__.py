"""The daemon's own loop on recorded candles, under a simulated clock and venue."""
