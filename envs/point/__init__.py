"""The `point` domain: a dot in a square."""
