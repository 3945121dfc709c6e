"""`backtest check`: whether a backtest may be believed: it knows no future, needs no more past, trades as live does."""
