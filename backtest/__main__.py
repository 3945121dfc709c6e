"""`python -m backtest`."""

from backtest.cli import entrypoint

if __name__ == "__main__":
    entrypoint()
