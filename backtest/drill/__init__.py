"""What `backtest gate` runs on: a made-up market, and a configuration so tight that every limit has to speak."""
