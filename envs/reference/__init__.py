"""Reference policies: the floors that every score stands beside."""
