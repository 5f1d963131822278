"""The `scroll` domain: a window on a coloured torus."""
