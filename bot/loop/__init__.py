"""TradingLoop: observe, decide, act, record, and again."""

from bot.loop.trading import TradingLoop
from bot.loop.world import Identity, Operator, World

__all__ = ["Identity", "Operator", "TradingLoop", "World"]
