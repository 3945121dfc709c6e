"""Markets to trade against: recorded candles, a seeded generator, or a script; all become trades, candles and books."""
