"""`backtest check`: what must pass, and what is planted to be found."""
