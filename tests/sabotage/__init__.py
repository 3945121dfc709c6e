"""Mistakes that cost money, made on purpose: each must turn a test red. `make sabotage` makes them one at a time."""
