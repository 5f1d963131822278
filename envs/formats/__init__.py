"""Formats of recorded episodes, one a file; `python -m envs.convert` uses them."""
