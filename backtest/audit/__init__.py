"""A second opinion of a finished run: its artifacts against candles, listings and limits, in code of its own.

What the bot decided with is not used here: candles are looked up anew, fees, caps, stops and equity are worked out once
more from orders and fills. Where the two disagree, one of them is wrong.
"""
