"""Claims about backtest/."""
